"""What the protocols of data access share (DALI 1.1): parameters, and answers that are streams of bytes."""
