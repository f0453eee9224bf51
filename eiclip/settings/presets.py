"""Which columns the exports of shop systems have, by what they hold: what a table's `preset` stands for.

A system has several layouts where it has changed its headers; a file is read by the one that it fits best. Only the id,
the title and the photo are in every export.
"""

from typing import Any

_TAGS = {"separators": {"tag": ","}}
_SHOPIFY: dict[str, Any] = {
    "product_id": "Handle", "title": "Title", "description": ("Body (HTML)",), "photo": "Image Src",
    "category": "Product Category", "subcategory": "Type", "gender": "Google Shopping / Gender",
    "price": "Variant Price", "availability": "Variant Inventory Qty", "entities": {"brand": "Vendor", "tag": "Tags"},
    **_TAGS,
}  # fmt: skip
_GOOGLE: dict[str, Any] = {
    "product_id": "id", "title": "title", "description": ("description",), "photo": "image_link",
    "category": "google_product_category", "subcategory": "product_type", "gender": "gender", "price": "price",
    "entities": {"brand": "brand", "colour": "color", "material": "material", "pattern": "pattern"},
    "availability": "availability", "link": "link", "attributes": {"size": "size"},
    "separators": {"colour": "/", "material": "/"},
}  # fmt: skip
PRESETS: dict[str, tuple[dict[str, Any], ...]] = {
    "shopify": (
        _SHOPIFY,
        _SHOPIFY | {
            "product_id": "URL handle", "description": ("Description",), "photo": "Product image URL",
            "category": "Product category", "price": "Price", "availability": "Inventory quantity",
        },
    ),
    "woocommerce": (
        {
            "product_id": "ID", "title": "Name", "description": ("Short description", "Description"),
            "photo": "Images", "subcategory": "Categories", "price": "Regular price",
            "availability": "In stock?",
            "entities": {"brand": "Brands", "tag": "Tags"}, **_TAGS,
        },
    ),
    "google_merchant": (
        _GOOGLE,
        _GOOGLE | {
            "photo": "image link", "category": "google product category", "subcategory": "product type",
        },
    ),
}  # fmt: skip
"""Layouts by preset, the usual one first."""
ALWAYS = ("product_id", "title", "photo")
"""What a file of every preset has to hold."""
