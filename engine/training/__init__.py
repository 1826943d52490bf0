"""Plans, the thread that trains, what it says, and what it keeps."""
