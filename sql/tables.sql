-- columns: what the columns that many tables have hold, where the table itself does not say otherwise.
-- dataset: name of the dataset in the settings
-- variant: name of the model's variant: a row of the paper's Table 1, a row of same-style retrieval, or a cross-encoder
-- baseline: the variant that it is compared with
-- seed: seed of the training
-- split: train | validation | test | excluded
-- source: name of the raw file
-- place: where the row is in its raw file (rows from 0, lines from 1)
-- reason: why the row is not used, as 'kind: what differs'; empty where it is used
-- product_id: id of the product in the raw files
-- other_id: id of the other product of the pair
-- image_id: id of the photo: `<product_id>_<n>`, n in the raw order
-- style_id: the true style of the product, as the raw files name it
-- title: title of the product
-- description: description of the product, cleaned
-- description_raw: description as the raw file has it
-- category: category of the product
-- subcategory: subcategory of the product
-- department: department of the shop
-- gender: whom the product is for
-- price: price, in the currency of the raw file
-- price_unread: text of the raw file's price, where it could not be read as one
-- currency: ISO 4217 code of the price's currency, or the sign that names it; empty where nothing does
-- available: whether the product is in stock; empty where the raw file does not say
-- available_unread: text of the raw file on availability, where it could not be read
-- link: address of the product's page in the shop
-- link_unread: text of the raw file's link, where it is no http or https address
-- attributes: MAP of attribute to its values, in lower case: what search filters by beside entities
-- pose: which photo of the product it is, as the raw file says
-- photo: where the reader finds the photo
-- photo_urls: addresses of the photo, the best first
-- photo_width: width of the photo (pixels)
-- photo_height: height of the photo (pixels)
-- photo_sha256: SHA-256 of the photo's decoded pixels or of its file
-- phash: 64-bit perceptual hash of the photo
-- source_split: train | test as the raw files say; empty where they do not
-- style: true style of the product as the raw file names it; empty where it does not
-- brand_raw: brand as the raw file writes it, where the reader normalises brands
-- entities: MAP of entity group to the entities of it, as the raw file writes them, in lower case
-- entity_group: kind of the entity: brand, composition, season, subcategory, ...
-- entity: the entity, normalised
-- ordinal: place of the entity among those that the product has of its group, from 1
-- entity_id: number of the entity within its group, from 0; 0 is `<unk>`: unseen or too rare in training
-- protocol: what is ranked against what: see the view `protocols`
-- direction: i2t (photo to text) | t2i (text to photo) | both (measures of the two together)
-- draw: number of the draw of queries: 1 to 5 of sample100_5x1000, else 0
-- query_id: id of what asks: an image_id for a photo, a product_id for a text or a product
-- rank: place of the best relevant candidate, from 1
-- rank_text_equal: the same with products of an identical description counted as relevant
-- measure: name of the measure
-- value: value of the measure (percent)
-- baseline_value: value of the baseline (percent)
-- difference: value less baseline_value (points)
-- low: lower end of the 95 % confidence interval
-- high: upper end of the 95 % confidence interval
-- p_value: of a paired permutation test; empty where none was made
-- queries: number of queries
-- products: number of products
-- styles: number of styles
-- seeds: number of training seeds that it is the mean of
-- resamples: number of bootstrap samples
-- r1: recall@1 (percent)
-- r5: recall@5 (percent)
-- r10: recall@10 (percent)
-- mrr: mean of 1 / rank (percent)
-- ndcg10: nDCG@10 (percent)
-- text_equal_r1: recall@1 with products of an identical description counted as relevant (percent)
-- text_equal_r5: recall@5 with products of an identical description counted as relevant (percent)
-- text_equal_r10: recall@10 with products of an identical description counted as relevant (percent)
-- median_rank: median rank of the best relevant candidate
-- i2t_r1: recall@1 from photo to text (percent)
-- i2t_r5: recall@5 from photo to text (percent)
-- i2t_r10: recall@10 from photo to text (percent)
-- t2i_r1: recall@1 from text to photo (percent)
-- t2i_r5: recall@5 from text to photo (percent)
-- t2i_r10: recall@10 from text to photo (percent)
-- sum_r: SumR: the sum of the six recalls
-- i2t_mrr: mean of 1 / rank from photo to text (percent)
-- t2i_mrr: mean of 1 / rank from text to photo (percent)
-- i2t_ndcg10: nDCG@10 from photo to text (percent)
-- t2i_ndcg10: nDCG@10 from text to photo (percent)
-- view_pair: view of the query - view of the candidates: i photo, t text, m both
-- baseline_view_pair: the pair of views that it is compared with
-- step: training step, from 0
-- epoch: epoch, from 0
-- run_id: id of the run
-- tagged_count: training products that are tagged with the entity in this group
-- untagged_mentions: training descriptions with the entity's words whose product is not tagged with it
-- intervention: removed | swapped | as_text: what is done to the entity
-- share_before: share of the ten best photos whose product carries the entity, before
-- share_after: share of the ten best photos whose product carries the entity, after
-- replacement_share_before: share of the ten best photos whose product carries the replacement, before; swapped only
-- replacement_share_after: share of the ten best photos whose product carries the replacement, after; swapped only
-- trigger_id: the product that was shown or clicked first: the query in training
-- positive_id: the product clicked with it: what training takes for relevant
-- support: sessions with both products
-- trigger_support: sessions with the trigger
-- positive_support: sessions with the positive
-- sessions: all sessions
-- lift: support over what chance would give two products of their supports
-- same_category: whether both products are of one category; empty where it is not known
-- origin: 'log' | 'related': clicks, or what the raw files name as related
-- trigger: number of the trigger
-- positive: number of the positive
-- first: number of one product
-- second: number of the other product, above the first
-- number: number of the product in the mining
-- text_similarity: Jaccard index of the two products' sets of words; 0 where both are empty
-- image_similarity: cosine of the mean photos; empty where it was not asked for, or a photo has no embedding
-- session: session or user of the click; empty where the log has none
-- time: when (UTC); empty where it is not known
-- item: id of the product clicked
-- rating: stars, 1 to 5
-- helpful: readers who found the review helpful
-- text: text of the review
-- summary: title of the review
-- verified: whether the reviewer bought the product there
-- review_count: number of reviews
-- mean_rating: mean of the stars, 1 to 5; empty without reviews

-- tables: one row per view of the catalogue.
-- name: name of the view
-- grain: one row per what
-- description: rules, sources and parameters
-- job: job that fills the table

-- record_rows: one row per raw row of a dataset, as the file of `records` holds it.
-- place: as in `records`; empty where it is the row's number in the file, from 1
-- file_row_number: number of the row in its Parquet file, from 0

-- reviews: one row per usable review; empty without a file of reviews.

-- review_rejections: one row per line of a file of reviews that is not used; duplicates of a review are among them.

-- photos: one row per listing: its photo decoded in full, or why it is unusable.
-- width: width of the photo (pixels)
-- height: height of the photo (pixels)
-- other_name: whether it was found under another name than the raw file gives
-- further_photos: how many more photos the row names, which are left out: a row is one photo

-- entity_spellings: one row per entity group and way to write an entity of it in the raw rows.
-- spelling: the entity as the raw rows write it, in lower case
-- entity: the one name that it is counted by: the commonest of its spellings; empty: a placeholder, no entity
-- rows: raw rows that write it so

-- product_groups: one row per product of a group of known duplicates.
-- group_id: the smallest product id of the group

-- split_groups: one row per product of a group that is wholly in one split: known duplicates, products of one true
--   style.
-- group_id: the smallest product id of the group

-- compositions: one row per distinct composition and fibre.
-- composition: the entity of the group composition, as tagged
-- component: part of the garment that the fibre is in; an empty text where there is one part
-- fibre: the fibre; empty where nothing of the composition could be parsed
-- share: share of the fibre in its component (percent); empty where the composition does not say
-- complete: whether all fibres of the component have shares, which sum to 100 ± 2
-- parsed: whether the composition could be parsed

-- profile_tokens: one row per product.
-- tokens: length of its description in tokens, start and end marks included, before any cut

-- training_log: one row per variant and logged training step.
-- loss: the loss that is minimised
-- loss_joint: L(photo, text and entities), the term that rows 2 to 6 have; empty for others
-- loss_description: L(photo, description); empty where the row does not have it
-- loss_entities: L(photo, entities); empty where the row does not have it
-- loss_views: terms of a same-style row by pair of views, of a cross-encoder by name; empty for others
-- lr_towers: learning rate of the towers
-- lr_entities: learning rate of the entity embeddings
-- lr_gates: learning rate of the gates
-- temperature: softmax temperature
-- gates: mean gate of each group over the batch's entities
-- validation: SumR on the validation split after the step (of a large split on evenly spaced photos); empty where it was
--   not measured
-- pairs_per_second: training pairs per second, so far
-- seconds: seconds of training, so far

-- training_outcomes: one row per trained variant: whether it has learned.
-- steps: steps of training
-- best_step: the step whose weights were kept; the last one unless validation was measured on the way
-- batch_size: pairs whose texts and photos are compared in one step
-- loss: mean of the minimised loss over the last tenth of the log
-- loss_at_chance: what guessing gives: the number of minimised terms times ln(batch_size), and about 1 more a term where
--   the loss is the sigmoid one
-- validation: SumR over all candidates of the validation split; empty without one
-- validation_chance: what a random order of those candidates reaches
-- verdict: learned | at ln(batch) | at chance | still rising
-- message: the verdict in a sentence, and what to do

-- embeddings: one row per variant and item of the test split: a unit-length vector.
-- kind: image (a photo) | text (a product's text and tags) | text_sample100 (the text as the lists of sample100 rank
--   it) | product (mean of a product's photos)
-- item_id: an image_id for a photo, else a product_id
-- embedding: unit-length vector

-- product_views: one row per variant and product of any split: three unit-length vectors of one space.
-- image: vector of its photos
-- text: vector of its text and tags
-- joint: vector of both together

-- search_index: one row per product of the shards: three unit-length vectors of one space, in `<home>/search`.
-- image: vector of its photos
-- text: vector of its text and tags
-- joint: vector of both together
-- content: digest of its photos, text and entities

-- trained_products: one row per variant that is searched with and product that it was trained among, as it was.
-- Of all splits; written when a model has been trained.
-- content: digest of its photos, text and entities
-- entities: MAP of entity group to its entities

-- drift: one row per variant that is searched with and measure: what has changed since its training.
-- The newest products are those that are new or changed; they are compared with those that the training held out and
-- that are as they were. Where the products of the training were not kept, they are all products.
-- measure: products | new | changed | removed | moved (to another split): numbers of products; unknown_entities: share
--   of the products with entities of the group that have one the model does not know (percent); r10 | mrr: of a
--   product's mean photo by its text among all products (percent)
-- entity_group: kind of entity; empty for other measures
-- trained: at the training; of those held out for r10 and mrr; empty for counts of changes
-- newest: of the newest products; of all for the number of products
-- products: products behind `newest`
-- warns: whether the model should be trained again for it

-- retrieval_ranks: one row per variant, protocol, draw, direction and query of the test split.
-- direction: i2t (photo to text) | t2i (text to photo)
-- ndcg10: nDCG@10 of the query, 0 to 1

-- metric_intervals: one row per variant, protocol, direction and measure: its 95 % interval over products.

-- row_comparisons: one row per pair of variants, protocol, direction and measure: the difference, paired by product.
-- relative: difference in percent of the baseline; empty where the baseline is 0
-- relative_low: lower end of its 95 % confidence interval
-- relative_high: upper end of its 95 % confidence interval

-- cross_modal_ranks: one row per cross-encoder (rows 10 to 14), protocol, direction and query of the test split.
-- Protocols: sample100, the lists that the other rows are asked; full, where row 5's first answers are scored again and
-- what is not among these keeps row 5's rank.
-- direction: i2t (photo to text) | t2i (text to photo)
-- ndcg10: nDCG@10 of the query, 0 to 1

-- cross_modal_intervals: one row per variant, protocol, direction and measure: its 95 % interval over products.
-- Of rows 10 to 14, and of rows 2, 3, 5 and 6 on the same queries.

-- cross_modal_comparisons: one row per pair of variants, protocol, direction and measure: the difference, paired by
--   product.
-- Of rows 10 to 14 with each other and with rows 2, 3, 5 and 6 on the same queries.
-- relative: difference in percent of the baseline; empty where the baseline is 0
-- relative_low: lower end of its 95 % confidence interval
-- relative_high: upper end of its 95 % confidence interval

-- recall_breakdowns: one row per variant, protocol, direction, facet and value of `query_facets`.
-- facet: what the queries are grouped by
-- value: the value of the facet
-- products: products of the facet's value
-- gain_r1: recall@1 less row 3's (points); row 5 only, where there are products enough
-- gain_low: lower end of its 95 % confidence interval
-- gain_high: upper end of its 95 % confidence interval

-- gate_weights: one row per variant with gates and entity that has an embedding of its own.
-- weight: the gate of the entity, 0 to 1

-- entity_shuffles: one row per variant, entity group and direction: all candidates, the group's entities changed.
-- r1: recall@1 as it is (percent)
-- r1_shuffled: recall@1 with the group's entities permuted among the test products (percent)
-- r1_lost: r1 less r1_shuffled (points)
-- r1_removed: recall@1 without the group's entities (percent)
-- r1_removed_lost: r1 less r1_removed (points)

-- interventions: one row per variant, intervention, sampled test product and entity of it: its text asks for its photo.
-- entity: the entity that is taken away, swapped or written as text
-- replacement: the entity put in its place; swapped only
-- gate_weight: gate of the entity by itself; empty for a row without gates
-- rank_before: rank of the best relevant photo, before
-- rank_after: rank of the best relevant photo, after
-- top_before: image_id of the best photo, before
-- top_after: image_id of the best photo, after

-- runs: one row per kept run that came to a result of its own.
-- finished_at: when the result was kept
-- seed: seed of the settings
-- config_hash: digest of the settings that decide the result
-- data_fingerprint: digest of the contents that the models were trained and measured on
-- code_version: digest of the code of training and embedding
-- result_hash: digest of the ranks
-- device: device of the last training
-- versions: versions of Python and of packages (JSON)
-- settings: the settings that decide the result (JSON)
-- seconds: seconds from the start of the run to its result

-- run_metrics: one row per kept run, variant, protocol and direction: `retrieval_metrics` of that run.

-- run_ranks: one row per kept run, variant, protocol, draw, direction and query: `retrieval_ranks` of that run.
-- ndcg10: nDCG@10 of the query, 0 to 1

-- ablation_results: one row per ablation, trial and subset of test products.
-- ablation: name of the ablation
-- trial: label of the trial
-- setting: what is varied
-- value: its value in the trial
-- x: the value as a number, to plot against; empty where it is none
-- row: row number of the paper that the variant is
-- subset: which test products it is measured on
-- epochs: epochs that were begun
-- steps: steps of training
-- budget: length that the training was given, in that of the dataset's rows
-- seconds: seconds of training
-- sum_r_low: lower end of the 95 % confidence interval of SumR
-- sum_r_high: upper end of the 95 % confidence interval of SumR
-- reference: label of the trial that the gain is over; empty without one
-- sum_r_gain: SumR less the reference's
-- gain_low: lower end of its 95 % confidence interval
-- gain_high: upper end of its 95 % confidence interval
-- verdict: on the training: as in `training_outcomes`; empty where nothing is trained

-- tuning_results: one row per training of the job `tune`.
-- trial: number of the draw; 0: the recipe as it is
-- tower_lr: learning rate of the towers; empty where only their heads are trained, at a rate of their own
-- head_lr: learning rate of the towers' heads, where they have one
-- weight_decay: decay of the weights
-- entity_lr: learning rate of the entity encoders; empty where the row has none
-- gate_lr: learning rate of the gates; empty where the row has none
-- validation: SumR on the whole validation split; empty where the training diverged
-- steps: steps of training
-- seconds: seconds of training
-- chosen: whether it is the best of its variant

-- same_style_ranks: one row per variant, seed, pair of views and test product whose style has another one.
-- Candidates are all other test products; ties count against the model.
-- right: number of relevant candidates: other test products of the style

-- same_style_intervals: one row per variant, seed, pair of views and measure: its 95 % interval over styles.
-- seed: seed of the training; empty: mean over the seeds

-- same_style_comparisons: one row per pair of rows, seed, pair of views and measure: the difference, paired by style.
-- seed: seed of the training; empty: mean over the seeds

-- same_style_chance: one row per dataset: what a random order of the candidates reaches, in every pair of views.
-- Expected values, exact, from each query's number of candidates and of relevant ones among them.
-- pair_share: share of all pairs of test products that are of one style (percent): the precision of calling any pair so

-- same_style_pr_curve: one row per variant, seed, view and threshold: do the pairs above it show one style?
-- view: i photo | t text | m both
-- threshold: cosine from which on a pair of test products is called one style
-- precision: share of the pairs above the threshold that are of one style
-- recall: share of the pairs of one style that are above the threshold
-- pairs: number of pairs above the threshold
-- average_precision: area under the whole curve

-- same_style_ablation: one row per trial, seed and pair of views.
-- label: label of the trial
-- setting: what is varied
-- value: its value in the trial

-- typed_query_ranks: one row per way of reading a typed query, pair of views and test product.
-- variant: variant and the way of reading: typed | typed and linked | tags given
-- style_id: style that a relevant candidate has; the product itself where true styles are not known
-- right: number of relevant candidates

-- typed_query_metrics: one row per way of reading typed queries and pair of views.
-- variant: variant and the way of reading: typed | typed and linked | tags given

-- typed_query_comparisons: one row per way of reading typed queries, pair of views and measure: its gain over another.
-- variant: variant and the way of reading: typed | typed and linked | tags given
-- baseline: variant and the way of reading that it is compared with

-- search_weights: one row per variant, way to ask and signal: its weight in the score of hybrid search.
-- Learned on the validation split; the score is the log-odds that a product is meant (docs/search.md).
-- asked: words (typed queries) or product ("more like this")
-- signal: what speaks for a product; constant: what is added to the sum of weight * signal
-- weight: its weight; 0 or more, but for the constant
-- queries: queries that the weights were learned from; 0: the defaults

-- generated_queries: one row per generated query and relevant product: a floor for search.
-- Of each kind so many queries as the settings say, drawn by the digest of their words.
-- kind: subcategory | brand and subcategory | colour and subcategory: common ones, and all products that have them;
--   names: titles of test products, and all products of exactly that title; descriptions: of a test product, with its
--   brand written in, and the product alone
-- query: what is typed
-- grade: 1: relevant

-- judged_queries: one row per query and product judged: those of the file of queries, and the generated ones.
-- source: name of the file, or 'generated'
-- kind: file, or as in `generated_queries`
-- query: what is typed
-- grade: how relevant the product is, from 0: not at all
-- split: split of the product; empty where the catalogue has no such product, which does not count

-- judged_query_rejections: one row per row of the file of queries that is not used; empty without a file.
-- place: number of the row below the header, the line or the judgement, from 1

-- judged_query_results: one row per variant, way of reading, and judged query with a relevant product.
-- Candidates are all products of the dataset; ties count against the model.
-- view: view of the products that vectors are compared with, where vectors alone rank: image | text | joint
-- kind: as in `judged_queries`
-- reading: plain words | linked entities: by vectors; words: by BM25; hybrid: by all of these
-- query: what is typed
-- linked: whether entities were found in it, and read
-- relevant: number of relevant products
-- candidates: number of products that are ranked
-- r1: share of the relevant products that is found first (percent)
-- r10: share of the relevant products among the first ten (percent)
-- mrr10: 1 / rank, 0 beyond ten (percent)
-- ndcg10: nDCG of the first ten, whose gains are the grades (percent)
-- p10: share of the first ten that is relevant (percent)
-- chance_ndcg10: ndcg10 of a random order (percent)

-- judged_query_metrics: one row per variant, kind of queries, and way of reading, difference or bound.
-- Means over queries, and 95 % confidence intervals over queries, of which bounds may have none.
-- view: as in `judged_query_results`
-- kind: as in `judged_queries`; tags: the three of subcategories together
-- reading: as in `judged_query_results`; a - b: paired difference (points), where the best of the others is chosen for
--   each measure anew; chance: a random order; best possible: no order gives more
-- linked: number of queries in which entities were found, and read
-- candidates: number of products that are ranked
-- r1: mean share of the relevant products that is found first (percent)
-- r10: mean share of the relevant products among the first ten (percent)
-- mrr10: mean of 1 / rank, 0 beyond ten (percent)
-- ndcg10: mean nDCG of the first ten, whose gains are the grades (percent)
-- p10: mean share of the first ten that is relevant (percent)
-- r1_low: lower end of the 95 % confidence interval of r1
-- r1_high: upper end of the 95 % confidence interval of r1
-- r10_low: lower end of the 95 % confidence interval of r10
-- r10_high: upper end of the 95 % confidence interval of r10
-- mrr10_low: lower end of the 95 % confidence interval of mrr10
-- mrr10_high: upper end of the 95 % confidence interval of mrr10
-- ndcg10_low: lower end of the 95 % confidence interval of ndcg10
-- ndcg10_high: upper end of the 95 % confidence interval of ndcg10
-- p10_low: lower end of the 95 % confidence interval of p10
-- p10_high: upper end of the 95 % confidence interval of p10
