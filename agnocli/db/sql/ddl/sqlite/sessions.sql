CREATE TABLE "{sessions}" (
	session_id VARCHAR NOT NULL,
	session_type VARCHAR NOT NULL,
	agent_id VARCHAR,
	team_id VARCHAR,
	workflow_id VARCHAR,
	user_id VARCHAR,
	session_data JSON,
	agent_data JSON,
	team_data JSON,
	workflow_data JSON,
	metadata JSON,
	summary JSON,
	created_at BIGINT NOT NULL,
	updated_at BIGINT,
	PRIMARY KEY (session_id)
);
CREATE INDEX "idx_{sessions}_created_at" ON "{sessions}" (created_at);
CREATE INDEX "idx_{sessions}_session_type" ON "{sessions}" (session_type);
