"""What runs inside an image: process 1, which readies the machine, runs the program on our stack, and switches the machine off."""
