CREATE TABLE "{schema}"."{versions}" (
	table_name VARCHAR NOT NULL,
	version VARCHAR NOT NULL,
	created_at VARCHAR NOT NULL,
	updated_at VARCHAR,
	PRIMARY KEY (table_name)
);
CREATE INDEX "idx_{versions}_created_at" ON "{schema}"."{versions}" (created_at);
