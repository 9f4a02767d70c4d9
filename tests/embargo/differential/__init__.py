"""Two servers, one with embargoed events behind it and one without: does any answer tell them apart?"""
