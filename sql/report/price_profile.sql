-- price_profile: one row: how many raw rows have a price, what prices there are, and what could not be read.
-- Source: profile_prices.
-- Parameters: $dataset.
SELECT * EXCLUDE (dataset)
FROM profile_prices
WHERE dataset = $dataset AND priced + unread > 0
