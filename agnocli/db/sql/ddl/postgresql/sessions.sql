CREATE TABLE "{schema}"."{sessions}" (
	session_id VARCHAR NOT NULL,
	session_type VARCHAR NOT NULL,
	agent_id VARCHAR,
	team_id VARCHAR,
	workflow_id VARCHAR,
	user_id VARCHAR,
	session_data JSONB,
	agent_data JSONB,
	team_data JSONB,
	workflow_data JSONB,
	metadata JSONB,
	summary JSONB,
	created_at BIGINT NOT NULL,
	updated_at BIGINT,
	PRIMARY KEY (session_id)
);
CREATE INDEX "idx_{sessions}_created_at" ON "{schema}"."{sessions}" (created_at);
CREATE INDEX "idx_{sessions}_session_type" ON "{schema}"."{sessions}" (session_type);
