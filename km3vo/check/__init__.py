"""What an operator runs before registering: does everything that harvesters and clients will read hold up?"""
