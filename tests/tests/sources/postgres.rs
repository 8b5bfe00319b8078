//! PostgreSQL: every type, every refusal, TLS, a server that goes away, and a run of the binary with its lineage.

use super::{access, asking, never_stored, nothing_is_left, project, refused, rows, run};
use lepton_core::ErrorCode;
use lepton_data::CollectSettings;
use lepton_data::remote::Access;
use lepton_tests::{Lepton, Postgres};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const TABLES: &str = "
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    CREATE DOMAIN percent AS numeric(5, 2);
    CREATE TABLE every (id int8, small int2, whole int4, single float4, double float8, exact numeric, share percent,
        yes bool, words text, code varchar(8), fixed char(4), day date, hour time, moment timestamp, instant timestamptz,
        number uuid, mood mood);
    INSERT INTO every VALUES
        (9007199254740993, -32768, 2147483647, 0.5, 0.1, 123456789012.345, 99.95, true, E'naïve\\n\"text\"', 'a', 'ab',
         '2024-02-29', '03:04:05.000006', '1999-12-31 23:59:59.5', '2024-01-01 00:30:00+02',
         '00112233-4455-6677-8899-aabbccddeeff', 'wild'),
        (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (1, 0, -1, -1.25, 1e-300, 0.00, 0, false, '', '', '', '0001-01-01', '24:00', '9999-12-31', '1970-01-01 00:00+00',
         '00000000-0000-0000-0000-000000000000', 'calm');
    CREATE TABLE sold AS SELECT i AS size, CASE WHEN i % 3 = 0 THEN NULL ELSE 'tea' END AS what,
        CASE WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END AS label FROM generate_series(1, 5000) AS i;
    CREATE TABLE odd (id int4, place point, raw bytea, many int4[], span interval, tree jsonb);
    INSERT INTO odd VALUES (1, '(1,2)', 'x', '{1}', '1 day', '{}');
    CREATE TABLE strange (number float8, digits numeric, day date);
    INSERT INTO strange VALUES ('NaN', 'NaN', 'infinity');
    CREATE TABLE hidden (id int4);
    CREATE USER bob PASSWORD 'correct horse';
";

#[test]
fn queries_of_postgresql() {
    let server = Postgres::start(TABLES);
    every_type_is_read(&server);
    refusals_name_what_is_wrong(&server);
    passwords_come_from_where_they_usually_do(&server);
    the_server_is_checked_where_the_connection_is_encrypted(&server);
    a_run_records_its_lineage(&server);
    a_server_that_goes_away_leaves_nothing(&server);
    assert_eq!(server.sql("SELECT count(*) FROM every"), "3", "something was written");
}

fn every_type_is_read(server: &Postgres) {
    let all = CollectSettings { query: None, table: Some("public.every".into()), ..asking(&server.url(), "") };
    let (rows, origins) = rows(&all, &access("PGPASSWORD", server.password())).unwrap();
    assert_eq!(
        rows[0],
        json!({
            "id": "9007199254740993", "small": -32768, "whole": 2_147_483_647, "single": 0.5, "double": 0.1,
            "exact": 123456789012.345, "share": 99.95, "yes": true, "words": "naïve\n\"text\"", "code": "a", "fixed": "ab  ",
            "day": "2024-02-29", "hour": "03:04:05.000006", "moment": "1999-12-31T23:59:59.500000",
            "instant": "2023-12-31T22:30:00Z", "number": "00112233-4455-6677-8899-aabbccddeeff", "mood": "wild",
        })
    );
    assert!(rows[1].as_object().unwrap().values().all(serde_json::Value::is_null), "{}", rows[1]);
    assert_eq!(
        rows[2],
        json!({
            "id": 1, "small": 0, "whole": -1, "single": -1.25, "double": 1e-300, "exact": 0.0, "share": 0.0, "yes": false,
            "words": "", "code": "", "fixed": "    ", "day": "0001-01-01", "hour": "24:00:00",
            "moment": "9999-12-31T00:00:00", "instant": "1970-01-01T00:00:00Z",
            "number": "00000000-0000-0000-0000-000000000000", "mood": "calm",
        })
    );
    assert_eq!((rows.len(), origins[0].kind.as_str()), (3, "postgresql"));
    assert_eq!(origins[0].query.as_deref(), Some("SELECT * FROM \"public\".\"every\""));
    assert!(server.sql("SHOW server_version").starts_with(origins[0].version.as_deref().unwrap()));
}

fn refusals_name_what_is_wrong(server: &Postgres) {
    let (url, known) = (server.url(), access("PGPASSWORD", server.password()));
    for column in ["place", "raw", "many", "span", "tree"] {
        let query = format!("SELECT id, {column} FROM odd");
        let error = refused(&asking(&url, &query), &known, ErrorCode::Unsupported, &["not supported", "`ignore`"]);
        assert_eq!(error.place().column.as_deref(), Some(column));
        let ignoring = CollectSettings { ignore: vec![column.into()], ..asking(&url, &query) };
        assert_eq!(rows(&ignoring, &known).unwrap().0, [json!({ "id": 1, column: null })]);
    }
    for column in ["number", "digits", "day"] {
        let query = format!("SELECT {column} FROM strange");
        let error = refused(&asking(&url, &query), &known, ErrorCode::BadData, &[]);
        assert_eq!((error.place().row, error.place().column.as_deref()), (Some(1), Some(column)));
    }
    for (query, code, says) in [
        ("SELECT * FROM sould", ErrorCode::NotFound, "\"sould\" does not exist"),
        ("SELECT siz FROM sold", ErrorCode::NotFound, "\"siz\" does not exist"),
        ("SELEC 1", ErrorCode::Config, "at character 1"),
        ("SELECT 1; SELECT 2", ErrorCode::Config, "multiple commands"),
        ("SELECT 1) TO '/tmp/x'; --", ErrorCode::Config, "syntax error"),
        ("SELECT 1 AS a, 2 AS a", ErrorCode::BadData, "two columns have this name"),
        ("SELECT 1 / (size - 1) AS x FROM sold", ErrorCode::BadData, "division by zero"),
        ("SELECT 1 AS x WHERE false", ErrorCode::BadData, "no rows"),
        ("COMMIT", ErrorCode::Config, "not a query that gives rows"),
        ("SET default_transaction_read_only = off", ErrorCode::Config, "not a query that gives rows"),
        ("DROP TABLE every", ErrorCode::Config, "not a query that gives rows"),
        ("DELETE FROM every RETURNING id", ErrorCode::NotAllowed, "read-only transaction"),
        ("WITH gone AS (DELETE FROM every RETURNING id) SELECT * FROM gone", ErrorCode::NotAllowed, "read-only"),
    ] {
        let error = refused(&asking(&url, query), &known, code, &[says]);
        assert_eq!(error.code().exit_code(), 2, "{query}");
    }
    refused(
        &asking(&url.replace("ann", "bob"), "SELECT * FROM hidden"),
        &known,
        ErrorCode::NotAllowed,
        &["permission denied", "grant SELECT to bob"],
    );
    refused(&asking(&url.replace("/shop", "/shp"), "SELECT 1"), &known, ErrorCode::NotFound, &["\"shp\""]);
    let nobody = format!("postgres://ann@127.0.0.1:{}/shop", lepton_tests::free_port());
    refused(&asking(&nobody, "SELECT 1"), &known, ErrorCode::Fetch, &["cannot connect"]);
    let without = Access { fetch: false, ..known };
    let error = refused(&asking(&url, "SELECT 1"), &without, ErrorCode::NotAllowed, &["--fetch"]);
    assert_eq!(error.place().key.as_deref(), Some("collect.database"));
}

fn passwords_come_from_where_they_usually_do(server: &Postgres) {
    let asked = asking(&server.url(), "SELECT 1 AS one");
    refused(&asked, &access("PGPASSWORD", "wrong pony"), ErrorCode::NotAllowed, &["password authentication failed"]);
    let none = Access { fetch: true, ..Access::default() };
    refused(&asked, &none, ErrorCode::NotAllowed, &["asks for a password", "PGPASSWORD"]);
    let line = format!("127.0.0.1:{}:shop:ann:{}", server.port, server.password());
    let file = Access { passfile: Some(line.as_str().into()), ..none };
    assert_eq!(rows(&asked, &file).unwrap().0, [json!({ "one": 1 })]);
    let named = CollectSettings { password_env: Some("SHOP".into()), ..asked };
    assert!(rows(&named, &access("SHOP", server.password())).is_ok());
    refused(&named, &access("PGPASSWORD", server.password()), ErrorCode::NotAllowed, &["SHOP is not set"]);
    let socket = format!("postgres://ann@localhost:{}/shop?socket={}", server.port, server.socket_folder().display());
    let query = "SELECT inet_client_addr() IS NULL AS socket";
    let over_socket = rows(&asking(&socket, query), &access("PGPASSWORD", server.password())).unwrap();
    assert_eq!(over_socket.0, [json!({ "socket": true })]);
}

fn the_server_is_checked_where_the_connection_is_encrypted(server: &Postgres) {
    let query = "SELECT ssl AS encrypted FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    let known = access("PGPASSWORD", server.password());
    assert_eq!(rows(&asking(&server.url(), query), &known).unwrap().0, [json!({ "encrypted": false })]);
    let checked = asking(&format!("{}?sslmode=verify-full", server.url()), query);
    refused(&checked, &known, ErrorCode::Fetch, &["certificate"]);
    let trusting = CollectSettings { tls_ca: Some(server.authority.clone()), ..checked };
    assert_eq!(rows(&trusting, &known).unwrap().0, [json!({ "encrypted": true })]);
    let absent = CollectSettings { tls_ca: Some("/absent.pem".into()), ..trusting };
    let error = rows(&absent, &known).unwrap_err();
    assert_eq!((error.code(), error.place().key.as_deref()), (ErrorCode::NotFound, Some("collect.tls_ca")));
}

fn a_run_records_its_lineage(server: &Postgres) {
    let lepton = Lepton::new();
    let query = "SELECT size, what, label FROM sold WHERE size <= 4000";
    let project = project(&format!(
        "database = \"{}\"\nquery = \"{query}\"\ntest_query = \"SELECT size, what, label FROM sold WHERE size > 4000\"",
        server.url()
    ));
    let password = [("PGPASSWORD", server.password())];
    let refused = run(&lepton, &project, &password, &[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("--fetch"), "{refused:?}");
    let first = run(&lepton, &project, &password, &["--fetch"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    let result = first.json();
    assert_eq!((&result["rows"]["test"], &result["stages"][0]["cached"]), (&json!(1000), &json!(false)));
    // Without permission the snapshot stands; with it the query runs again, and the same rows are the same version.
    assert_eq!(run(&lepton, &project, &[], &[]).json()["stages"][0]["cached"], true);
    let again = run(&lepton, &project, &password, &["--fetch"]).json();
    assert_eq!((&again["stages"][0]["cached"], &again["dataset"]), (&json!(false), &result["dataset"]));
    assert_eq!(again["stages"][1]["cached"], true);
    let shown = lepton.json(&["data", "show", "shop"]);
    let origin = &shown["manifest"]["origin"][0];
    assert_eq!((&origin["kind"], &origin["query"]), (&json!("postgresql"), &json!(query)));
    assert!(origin["version"].as_str().is_some_and(|version| !version.is_empty()), "{origin}");
    assert_eq!(shown["manifest"]["source"][0]["path"], server.url());
    let text = lepton.done(&["data", "show", "shop"]).out;
    assert!(text.contains("train from postgresql ") && text.contains(query), "{text}");
    // A password file is read where no variable is set, and refused where others can read it.
    let file = project.folder().join("passwords");
    std::fs::write(&file, format!("*:*:*:*:{}\n", server.password())).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let named = [("PGPASSFILE", file.to_str().unwrap())];
    let open = run(&lepton, &project, &named, &["--fetch"]);
    assert!(open.code == Some(2) && open.err.contains("chmod 600"), "{open:?}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(run(&lepton, &project, &named, &["--fetch"]).code, Some(0));
    std::fs::remove_file(file).unwrap();
    never_stored(lepton.home(), server.password());
    // What lies elsewhere is neither profiled nor evaluated behind its back.
    for command in ["profile", "doctor"] {
        lepton.refused(&["data", command, &server.url()], 2, &["only files and datasets", "collect it with"]);
    }
}

/// The connection is ended by the server in the middle of the rows, which would take minutes.
fn a_server_that_goes_away_leaves_nothing(server: &Postgres) {
    let lepton = Lepton::new();
    let query =
        "SELECT i AS size, (SELECT 'a' FROM pg_sleep(0.001 + 0 * i)) AS label FROM generate_series(1, 100000) AS i";
    let project = project(&format!("database = \"{}\"\nquery = \"{query}\"", server.url()));
    let answer = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&lepton, &project, &[("PGPASSWORD", server.password())], &["--fetch"]));
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE application_name = 'lepton' AND state = 'active' AND query LIKE '%pg_sleep%'";
        while server.sql(end) == "0" {
            assert!(!running.is_finished(), "it ended by itself");
            std::thread::sleep(Duration::from_millis(20));
        }
        running.join().unwrap()
    });
    assert_eq!(answer.code, Some(3), "{answer:?}");
    assert!(answer.err.contains("the database went away after") && answer.err.contains("run the same command again"));
    nothing_is_left(&lepton);
}
