//! MariaDB, which speaks MySQL's protocol: every type, every refusal, TLS, and a server that goes away.

use super::{access, asking, nothing_is_left, project, refused, rows, run};
use lepton_core::ErrorCode;
use lepton_data::CollectSettings;
use lepton_data::remote::Access;
use lepton_tests::{Lepton, MariaDb};
use serde_json::json;
use std::time::Duration;

const TABLES: &str = "
    CREATE TABLE every (id BIGINT UNSIGNED, tiny TINYINT, flag BIT(1), bits BIT(10), single FLOAT, `double` DOUBLE,
        exact DECIMAL(20, 4), words TEXT, code VARCHAR(8), mood ENUM('calm', 'wild'), kinds SET('a', 'b'), day DATE,
        hour TIME(6), moment DATETIME(3), instant TIMESTAMP NULL, y YEAR, tree JSON);
    SET time_zone = '+02:00';
    INSERT INTO every VALUES
        (18446744073709551615, -128, b'1', b'1000000001', 0.5, 0.1, 1234567890123.4567, 'naïve\\n\"text\" 😀', 'a', 'wild',
         'a,b', '2024-02-29', '-101:02:03.000004', '1999-12-31 23:59:59.5', '2024-01-01 00:30:00', 2024, '{\"a\": 1}'),
        (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (1, 1, b'0', b'0', -1.25, 1e-300, 0, '', '', 'calm', '', '1000-01-01', '00:00:00', '9999-12-31', '1970-01-02', 1901,
         '[]');
    CREATE TABLE odd (id INT, raw BLOB, fixed BINARY(4), place POINT);
    INSERT INTO odd VALUES (1, 'x', 'x', POINT(1, 2));
    SET sql_mode = '';
    CREATE TABLE strange (day DATE);
    INSERT INTO strange VALUES ('0000-00-00');
    CREATE TABLE shop.hidden (id INT);
    CREATE DATABASE other; CREATE TABLE other.hidden (id INT);
";

#[test]
fn queries_of_mariadb() {
    let server = MariaDb::start(TABLES);
    every_type_is_read(&server);
    refusals_name_what_is_wrong(&server);
    the_server_is_checked_where_the_connection_is_encrypted(&server);
    a_server_that_goes_away_leaves_nothing(&server);
    assert_eq!(server.sql("SELECT count(*) FROM shop.every"), "3", "something was written");
}

fn every_type_is_read(server: &MariaDb) {
    let all = CollectSettings { query: None, table: Some("every".into()), ..asking(&server.url(), "") };
    let (rows, origins) = rows(&all, &access("MYSQL_PWD", server.password())).unwrap();
    assert_eq!(
        rows[0],
        json!({
            "id": "18446744073709551615", "tiny": -128, "flag": true, "bits": 513, "single": 0.5, "double": 0.1,
            "exact": 1234567890123.4567, "words": "naïve\n\"text\" 😀", "code": "a", "mood": "wild", "kinds": "a,b",
            "day": "2024-02-29", "hour": "-101:02:03.000004", "moment": "1999-12-31T23:59:59.500000",
            "instant": "2023-12-31T22:30:00Z", "y": 2024, "tree": "{\"a\": 1}",
        })
    );
    assert!(rows[1].as_object().unwrap().values().all(serde_json::Value::is_null), "{}", rows[1]);
    assert_eq!(
        rows[2],
        json!({
            "id": 1, "tiny": 1, "flag": false, "bits": 0, "single": -1.25, "double": 1e-300, "exact": 0.0, "words": "",
            "code": "", "mood": "calm", "kinds": "", "day": "1000-01-01", "hour": "00:00:00",
            "moment": "9999-12-31T00:00:00", "instant": "1970-01-01T22:00:00Z", "y": 1901, "tree": "[]",
        })
    );
    assert_eq!((rows.len(), origins[0].kind.as_str()), (3, "mariadb"));
    assert_eq!(origins[0].version.as_deref(), Some(server.sql("SELECT VERSION()").as_str()));
    assert_eq!(origins[0].query.as_deref(), Some("SELECT * FROM `every`"));
    let socket = format!("mysql://ann@localhost/shop?socket={}", server.socket().display());
    let over_socket = super::rows(&asking(&socket, "SELECT 1 AS one"), &access("MYSQL_PWD", server.password()));
    assert_eq!(over_socket.unwrap().0, [json!({ "one": 1 })]);
}

fn refusals_name_what_is_wrong(server: &MariaDb) {
    let (url, known) = (server.url(), access("MYSQL_PWD", server.password()));
    for column in ["raw", "fixed", "place"] {
        let query = format!("SELECT id, {column} FROM odd");
        let error = refused(&asking(&url, &query), &known, ErrorCode::Unsupported, &["not supported", "`ignore`"]);
        assert_eq!(error.place().column.as_deref(), Some(column));
        let ignoring = CollectSettings { ignore: vec![column.into()], ..asking(&url, &query) };
        assert_eq!(rows(&ignoring, &known).unwrap().0, [json!({ "id": 1, column: null })]);
    }
    let error =
        refused(&asking(&url, "SELECT day FROM strange"), &known, ErrorCode::BadData, &["0000-00-00", "NULLIF"]);
    assert_eq!((error.place().row, error.place().column.as_deref()), (Some(1), Some("day")));
    for (query, code, says) in [
        ("SELECT * FROM evry", ErrorCode::NotFound, "evry"),
        ("SELECT idd FROM every", ErrorCode::NotFound, "idd"),
        ("SELEC 1", ErrorCode::Config, "syntax"),
        ("SELECT 1; DROP TABLE every", ErrorCode::Config, "syntax"),
        ("SELECT * FROM other.hidden", ErrorCode::NotAllowed, "grant SELECT to ann"),
        ("DELETE FROM every RETURNING id", ErrorCode::NotAllowed, "READ ONLY"),
        ("COMMIT", ErrorCode::Config, "not a query that gives rows"),
        ("SELECT 1 INTO OUTFILE '/tmp/lepton-test'", ErrorCode::NotAllowed, ""),
    ] {
        let error = refused(&asking(&url, query), &known, code, &[says]);
        assert_eq!(error.code().exit_code(), 2, "{query}");
    }
    // What writes is refused by us or by the server, whichever looks first.
    for query in ["DELETE FROM every", "DROP TABLE every", "CREATE TABLE more (id INT)"] {
        let error = rows(&asking(&url, query), &known).unwrap_err();
        assert!([ErrorCode::Config, ErrorCode::NotAllowed].contains(&error.code()), "{query}: {error}");
    }
    let asked = asking(&url, "SELECT 1 AS one");
    refused(&asked, &access("MYSQL_PWD", "wrong pony"), ErrorCode::NotAllowed, &["Access denied", "MYSQL_PWD"]);
    refused(&asked, &Access { fetch: true, ..Access::default() }, ErrorCode::NotAllowed, &["Access denied"]);
    let elsewhere = asking(&url.replace("/shop", "/shp"), "SELECT 1 AS one");
    assert_eq!(rows(&elsewhere, &known).unwrap_err().code().exit_code(), 2);
    let nobody = format!("mysql://ann@127.0.0.1:{}/shop", lepton_tests::free_port());
    refused(&asking(&nobody, "SELECT 1"), &known, ErrorCode::Fetch, &["cannot connect"]);
}

fn the_server_is_checked_where_the_connection_is_encrypted(server: &MariaDb) {
    let query = "SELECT variable_value <> '' AS encrypted FROM information_schema.session_status
                 WHERE variable_name = 'Ssl_cipher'";
    let known = access("MYSQL_PWD", server.password());
    assert_eq!(rows(&asking(&server.url(), query), &known).unwrap().0, [json!({ "encrypted": 0 })]);
    let checked = asking(&format!("{}?sslmode=verify-full", server.url()), query);
    refused(&checked, &known, ErrorCode::Fetch, &["certificate"]);
    let trusting = CollectSettings { tls_ca: Some(server.authority.clone()), ..checked };
    assert_eq!(rows(&trusting, &known).unwrap().0, [json!({ "encrypted": 1 })]);
}

/// The connection is ended by the server in the middle of the rows, which without an end would take hours.
fn a_server_that_goes_away_leaves_nothing(server: &MariaDb) {
    let lepton = Lepton::new();
    let query = "SELECT seq AS size, SLEEP(0.001) AS label FROM seq_1_to_100000000";
    let project = project(&format!("database = \"{}\"\nquery = \"{query}\"", server.url()));
    let answer = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&lepton, &project, &[("MYSQL_PWD", server.password())], &["--fetch"]));
        let find = "SELECT id FROM information_schema.processlist WHERE user = 'ann' AND info LIKE '%SLEEP%' LIMIT 1";
        let id = loop {
            assert!(!running.is_finished(), "it ended by itself");
            match server.sql(find) {
                id if id.is_empty() => std::thread::sleep(Duration::from_millis(20)),
                id => break id,
            }
        };
        server.sql(&format!("KILL CONNECTION {id}"));
        running.join().unwrap()
    });
    assert_eq!(answer.code, Some(3), "{answer:?}");
    assert!(answer.err.contains("the database went away after"), "{answer:?}");
    nothing_is_left(&lepton);
}
