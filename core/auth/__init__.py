"""Who may do what: principals, scopes, API keys and tokens, as pure rules."""
