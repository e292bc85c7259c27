-- What an answer of embeddings holds: how many vectors, and how long the first is.
ALTER TABLE exchange ADD COLUMN embeddings INTEGER;
ALTER TABLE exchange ADD COLUMN embedding_dimensions INTEGER;
