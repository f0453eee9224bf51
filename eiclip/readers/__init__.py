"""Raw files in the layouts people hold become rows and photos. Which rows make a product is decided in SQL."""
