DROP TABLE IF EXISTS fluxtally_ledger;
