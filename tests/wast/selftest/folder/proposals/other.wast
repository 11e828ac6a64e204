(this is no script)
