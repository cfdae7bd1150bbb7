CREATE TABLE "{runs}" (
	run_id VARCHAR NOT NULL,
	session_id VARCHAR NOT NULL,
	run_type VARCHAR NOT NULL,
	agent_id VARCHAR,
	team_id VARCHAR,
	workflow_id VARCHAR,
	user_id VARCHAR,
	parent_run_id VARCHAR,
	status VARCHAR,
	run_index BIGINT,
	run_data JSON NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT,
	PRIMARY KEY (run_id),
	FOREIGN KEY(session_id) REFERENCES "{sessions}" (session_id) ON DELETE CASCADE
);
CREATE INDEX "idx_{runs}_agent_id" ON "{runs}" (agent_id);
CREATE INDEX "idx_{runs}_created_at" ON "{runs}" (created_at);
CREATE INDEX "idx_{runs}_run_type" ON "{runs}" (run_type);
CREATE INDEX "idx_{runs}_session_id" ON "{runs}" (session_id);
CREATE INDEX "idx_{runs}_session_id_run_index" ON "{runs}" (session_id, run_index);
CREATE INDEX "idx_{runs}_status" ON "{runs}" (status);
CREATE INDEX "idx_{runs}_team_id" ON "{runs}" (team_id);
CREATE INDEX "idx_{runs}_user_id" ON "{runs}" (user_id);
CREATE INDEX "idx_{runs}_workflow_id" ON "{runs}" (workflow_id);
