"""From a trained model to figures: embeddings, ranks, recalls, intervals and tests, gates, interventions.

Numbers as tables; how they are shown is the report's business, and no model is trained here.
"""
