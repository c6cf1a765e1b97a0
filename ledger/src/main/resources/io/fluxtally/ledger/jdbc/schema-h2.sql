-- The ledger of Fluxtally. started_at is in milliseconds since 1970, started_day the day in UTC; record is the whole record as JSON.
CREATE TABLE IF NOT EXISTS fluxtally_ledger (
    request_id VARCHAR(255) NOT NULL,
    run_id VARCHAR(255),
    conversation VARCHAR(255),
    user_label VARCHAR(255),
    tenant VARCHAR(255),
    provider VARCHAR(255),
    model VARCHAR(255),
    response_id VARCHAR(255),
    source VARCHAR(16) NOT NULL,
    outcome VARCHAR(16) NOT NULL,
    started_at BIGINT NOT NULL,
    started_day VARCHAR(16) NOT NULL,
    input_tokens BIGINT,
    output_tokens BIGINT,
    total_tokens BIGINT,
    cache_read_input_tokens BIGINT,
    cache_creation_input_tokens BIGINT,
    reasoning_output_tokens BIGINT,
    text_input_tokens BIGINT,
    image_input_tokens BIGINT,
    audio_input_tokens BIGINT,
    video_input_tokens BIGINT,
    text_output_tokens BIGINT,
    image_output_tokens BIGINT,
    audio_output_tokens BIGINT,
    video_output_tokens BIGINT,
    record CHARACTER LARGE OBJECT NOT NULL,
    PRIMARY KEY (request_id)
);
CREATE INDEX IF NOT EXISTS fluxtally_ledger_run ON fluxtally_ledger (run_id);
CREATE INDEX IF NOT EXISTS fluxtally_ledger_conversation ON fluxtally_ledger (conversation, started_at);
CREATE INDEX IF NOT EXISTS fluxtally_ledger_user ON fluxtally_ledger (user_label, started_at);
CREATE INDEX IF NOT EXISTS fluxtally_ledger_tenant ON fluxtally_ledger (tenant, started_at);
CREATE INDEX IF NOT EXISTS fluxtally_ledger_model ON fluxtally_ledger (model, started_at);
CREATE INDEX IF NOT EXISTS fluxtally_ledger_started ON fluxtally_ledger (started_at);
CREATE INDEX IF NOT EXISTS fluxtally_ledger_response ON fluxtally_ledger (response_id);
