"""What a detection becomes on disk: tables, events, masks, an overlay video, a timeline picture."""
