"""Teachers: who writes targets for lessons, what they write checked before it is kept, and the runs that gather it."""
