"""What an HTML page is made of: its looks, its search, and stored Markdown as safe HTML."""
