//! A look at the tables themselves, past the store.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

/// A connection of either kind.
pub enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Raw {
    pub async fn open(url: &str) -> Raw {
        if url.starts_with("sqlite") {
            Raw::Sqlite(SqliteConnection::connect(url).await.unwrap())
        } else {
            Raw::Postgres(PgConnection::connect(url).await.unwrap())
        }
    }

    /// Runs a statement; `{blob}` in it stands for bytes that mean nothing.
    pub async fn run(&mut self, sql: &str) {
        let blob = match self {
            Raw::Sqlite(_) => "x'00ff00ff'",
            Raw::Postgres(_) => "'\\x00ff00ff'::bytea",
        };
        let sql = AssertSqlSafe(sql.replace("{blob}", blob));
        match self {
            Raw::Sqlite(c) => drop(sqlx::query(sql).execute(c).await.unwrap()),
            Raw::Postgres(c) => drop(sqlx::query(sql).execute(c).await.unwrap()),
        }
    }

    /// Copies a row so many times. `other` names the columns in which each copy is another: `id` and `bytes` become
    /// random, a text gets a number from 1 on at its end.
    pub async fn multiply(&mut self, table: &str, which: &str, other: &[(&str, &str)], count: u64) {
        let (id, bytes) = match self {
            Raw::Sqlite(_) => ("randomblob(16)", "randomblob(32)"),
            Raw::Postgres(_) => (
                "gen_random_uuid()",
                "decode(md5(random()::text) || md5(n.i::text), 'hex')",
            ),
        };
        let (mut into, mut from) = (Vec::new(), Vec::new());
        for column in self.columns(table).await {
            let name = column.split(' ').next().unwrap().to_owned();
            from.push(match other.iter().find(|(column, _)| *column == name) {
                Some((_, "id")) => id.to_owned(),
                Some((_, "bytes")) => bytes.to_owned(),
                Some((_, _)) => format!("r.{name} || n.i"),
                None => format!("r.{name}"),
            });
            into.push(name);
        }
        let (into, from) = (into.join(", "), from.join(", "));
        self.run(&format!(
            "INSERT INTO {table} ({into}) SELECT {from} FROM {table} r CROSS JOIN (WITH RECURSIVE s(i) AS \
             (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {count}) SELECT i FROM s) AS n WHERE {which}"
        ))
        .await;
    }

    /// The first column of every row, as text.
    pub async fn texts(&mut self, sql: &str) -> Vec<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Raw::Sqlite(c) => {
                let rows = sqlx::query(sql).fetch_all(c).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Raw::Postgres(c) => {
                let rows = sqlx::query(sql).fetch_all(c).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// The tables, without the one of the migrations.
    pub async fn tables(&mut self) -> Vec<String> {
        let sql = match self {
            Raw::Sqlite(_) => {
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
                 AND name NOT LIKE '_sqlx_%' ORDER BY name"
            }
            Raw::Postgres(_) => {
                "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema() \
                 AND table_name NOT LIKE '\\_sqlx\\_%' ORDER BY table_name"
            }
        };
        self.texts(sql).await
    }

    /// `name type null?` of every column, in order. Types as the four that the store knows.
    pub async fn columns(&mut self, table: &str) -> Vec<String> {
        let sql = match self {
            Raw::Sqlite(_) => format!(
                "SELECT name || ' ' || type || CASE WHEN \"notnull\" = 1 THEN '' ELSE '?' END \
                 FROM pragma_table_info('{table}') ORDER BY cid"
            ),
            Raw::Postgres(_) => format!(
                "SELECT column_name || ' ' || CASE data_type WHEN 'bigint' THEN 'INTEGER' WHEN 'bytea' THEN 'BLOB' \
                 WHEN 'uuid' THEN 'BLOB' WHEN 'text' THEN 'TEXT' ELSE data_type END \
                 || CASE is_nullable WHEN 'NO' THEN '' ELSE '?' END FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = '{table}' ORDER BY ordinal_position"
            ),
        };
        self.texts(&sql).await
    }

    /// `name unique? (columns) where?` of every index that was made by name, and the primary key.
    pub async fn indexes(&mut self, table: &str) -> Vec<String> {
        let sql = match self {
            Raw::Sqlite(_) => format!(
                "SELECT CASE WHEN l.origin = 'pk' THEN 'primary key' ELSE l.name END \
                 || CASE l.\"unique\" WHEN 1 THEN ' unique' ELSE '' END \
                 || ' (' || (SELECT group_concat(name, ', ') FROM \
                     (SELECT name FROM pragma_index_info(l.name) ORDER BY seqno)) || ')' \
                 || CASE l.partial WHEN 1 THEN ' where' ELSE '' END \
                 FROM pragma_index_list('{table}') l ORDER BY 1"
            ),
            Raw::Postgres(_) => format!(
                "SELECT CASE WHEN i.indisprimary THEN 'primary key' ELSE c.relname::text END \
                 || CASE WHEN i.indisunique THEN ' unique' ELSE '' END \
                 || ' (' || (SELECT string_agg(a.attname, ', ' ORDER BY k.n) FROM \
                     unnest(i.indkey) WITH ORDINALITY k(attnum, n) \
                     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum) || ')' \
                 || CASE WHEN i.indpred IS NULL THEN '' ELSE ' where' END \
                 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
                 WHERE i.indrelid = '{table}'::regclass ORDER BY 1"
            ),
        };
        let mut found = self.texts(&sql).await;
        found.sort();
        found
    }

    /// All rows of one tenant in every table that has tenants, as text.
    pub async fn rows_of(&mut self, tenant: &str) -> BTreeMap<String, Vec<String>> {
        let mut out = BTreeMap::new();
        for table in self.tables().await {
            let columns: Vec<String> = self
                .columns(&table)
                .await
                .iter()
                .map(|c| c.split(' ').next().unwrap().to_owned())
                .collect();
            // Of the whole installation, not of a tenant.
            if table == "setting" {
                continue;
            }
            let owner = if table == "tenant" { "id" } else { "tenant" };
            assert!(columns.iter().any(|c| c == owner), "{table} has no tenant");
            let row = match self {
                Raw::Sqlite(_) => columns
                    .iter()
                    .map(|c| format!("quote({c})"))
                    .collect::<Vec<_>>()
                    .join(" || ',' || "),
                Raw::Postgres(_) => format!("{table}::text"),
            };
            let sql = format!("SELECT {row} FROM {table} WHERE {owner} = '{tenant}' ORDER BY 1");
            out.insert(table, self.texts(&sql).await);
        }
        out
    }
}
