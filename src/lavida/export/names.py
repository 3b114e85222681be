"""What the files of a result are called."""

ANALYSIS, CANDIDATES, RUN = "analysis.npz", "candidates.json.gz", "run.json"
EVENTS, MASKS, TIMELINE, OVERLAY = "events.json", "masks.json", "timeline.png", "overlay.mp4"
LABELS = "labels.json"  # what people say of the events
FRAMES = "frames.parquet"  # in every result of a detection, and in no other folder of lavida
