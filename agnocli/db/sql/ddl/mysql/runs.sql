CREATE TABLE `{schema}`.`{runs}` (
	run_id VARCHAR(128) COLLATE {collation} NOT NULL,
	session_id VARCHAR(128) COLLATE {referring} NOT NULL,
	run_type VARCHAR(20) COLLATE {collation} NOT NULL,
	agent_id VARCHAR(128) COLLATE {collation},
	team_id VARCHAR(128) COLLATE {collation},
	workflow_id VARCHAR(128) COLLATE {collation},
	user_id VARCHAR(128) COLLATE {collation},
	parent_run_id VARCHAR(128) COLLATE {collation},
	status VARCHAR(50) COLLATE {collation},
	run_index BIGINT,
	run_data JSON NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT,
	PRIMARY KEY (run_id),
	FOREIGN KEY(session_id) REFERENCES `{schema}`.`{sessions}` (session_id) ON DELETE CASCADE
)CHARSET=utf8mb4;
CREATE INDEX `idx_{runs}_agent_id` ON `{schema}`.`{runs}` (agent_id);
CREATE INDEX `idx_{runs}_created_at` ON `{schema}`.`{runs}` (created_at);
CREATE INDEX `idx_{runs}_run_type` ON `{schema}`.`{runs}` (run_type);
CREATE INDEX `idx_{runs}_session_id` ON `{schema}`.`{runs}` (session_id);
CREATE INDEX `idx_{runs}_status` ON `{schema}`.`{runs}` (status);
CREATE INDEX `idx_{runs}_team_id` ON `{schema}`.`{runs}` (team_id);
CREATE INDEX `idx_{runs}_user_id` ON `{schema}`.`{runs}` (user_id);
CREATE INDEX `idx_{runs}_workflow_id` ON `{schema}`.`{runs}` (workflow_id);
CREATE INDEX `{runs}_runs_session_id_run_index` ON `{schema}`.`{runs}` (session_id, run_index);
