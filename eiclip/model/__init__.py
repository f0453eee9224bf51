"""The EI-CLIP model: CLIP's two towers, entity encoders (EA-Learner), gates (CE-Selector) and the three-term loss.

Tensors in, tensors out; data loading, optimisation and metrics are other rooms' business.
"""
