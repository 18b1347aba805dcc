"""Commands of the ledger: experiments, what came of them, and what was learned."""
