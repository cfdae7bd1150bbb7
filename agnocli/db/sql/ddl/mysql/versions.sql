CREATE TABLE `{schema}`.`{versions}` (
	table_name VARCHAR(128) COLLATE {collation} NOT NULL,
	version VARCHAR(10) COLLATE {collation} NOT NULL,
	created_at VARCHAR(128) COLLATE {collation} NOT NULL,
	updated_at VARCHAR(128) COLLATE {collation},
	PRIMARY KEY (table_name)
)CHARSET=utf8mb4;
CREATE INDEX `idx_{versions}_created_at` ON `{schema}`.`{versions}` (created_at);
