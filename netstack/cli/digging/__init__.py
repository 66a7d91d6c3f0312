"""`netstack dig`, in rooms: words (what was asked for), ask (one exchange with one server), trace and transfer (many), show."""
