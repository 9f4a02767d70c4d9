"""What HTTP wants of every answer, whatever the protocol: methods, addresses, documents, compression."""
