-- Networks from where a person has signed in: what strangers guess elsewhere does not keep them out there.
CREATE TABLE known_network (
    tenant TEXT COLLATE "C" NOT NULL,
    user_id UUID NOT NULL,
    network TEXT COLLATE "C" NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, user_id, network)
);
