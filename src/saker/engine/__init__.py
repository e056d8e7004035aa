"""The worker process around one model: one Protocol, one file per engine, one loop, and the frames it speaks."""
