"""netstack: a TCP/IP stack that you import."""
