CREATE TABLE `{schema}`.`{sessions}` (
	session_id VARCHAR(128) COLLATE {collation} NOT NULL,
	session_type VARCHAR(20) COLLATE {collation} NOT NULL,
	agent_id VARCHAR(128) COLLATE {collation},
	team_id VARCHAR(128) COLLATE {collation},
	workflow_id VARCHAR(128) COLLATE {collation},
	user_id VARCHAR(128) COLLATE {collation},
	session_data JSON,
	agent_data JSON,
	team_data JSON,
	workflow_data JSON,
	metadata JSON,
	summary JSON,
	created_at BIGINT NOT NULL,
	updated_at BIGINT,
	PRIMARY KEY (session_id)
)CHARSET=utf8mb4;
CREATE INDEX `idx_{sessions}_created_at` ON `{schema}`.`{sessions}` (created_at);
CREATE INDEX `idx_{sessions}_session_type` ON `{schema}`.`{sessions}` (session_type);
