"""What the board knows, read out of Redis: one module for each thing that is shown, typed and frozen.

Pages, the stream and the API all read through here, and nothing else of the board reads a queue. Every call costs a
bounded number of round trips, however much there is in Redis: no KEYS, no SCAN, no walk through a queue. What is not
for eyes is taken out here (`Source`), so that no page can forget it. None is "not known", never zero.

Every call may raise `redis.RedisError`.
"""
