//! Queries over files and rows, against what a person would count by hand.

use super::{SqlAnswer, SqlTable, SqlValue, SqlWork, query};
use crate::scan::{ScanOptions, Work};
use lepton_core::{Cancel, Error, ErrorCode, Result, Silent};
use std::path::Path;

const TABLE: &str = "name,size,code\nann,1,007\nbob,,8\ncid,3,x\nbob,4.5,9007199254740993\n";

fn ask(folder: &Path, sql: &str) -> Result<(SqlAnswer, Vec<Vec<SqlValue>>)> {
    let cancel = Cancel::default();
    let work = SqlWork { scratch: folder, threads: 2, progress: &Silent, cancel: &cancel };
    let how = Work { threads: 2, progress: &Silent, cancel: &cancel };
    let find = |name: &str| match name {
        "t" => SqlTable::file(&folder.join("t.csv"), &ScanOptions::default(), &how),
        "j" => SqlTable::file(&folder.join("j.jsonl"), &ScanOptions::default(), &how),
        other => Err(Error::new(ErrorCode::NotFound, format!("there is no {other}"))),
    };
    let mut rows = Vec::new();
    let answer = query(sql, &work, find, |_, row| {
        rows.push(row);
        Ok(())
    })?;
    Ok((answer, rows))
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), TABLE).unwrap();
    std::fs::write(
        folder.path().join("j.jsonl"),
        "{\"a\": 1, \"b\": \"x\"}\n{\"a\": 9007199254740993, \"c\": [1, 2], \"d\": true}\n",
    )
    .unwrap();
    folder
}

fn texts(sql: &str) -> Vec<String> {
    let (_, rows) = ask(folder().path(), sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let text = |value: SqlValue| value.text().unwrap_or_else(|| "-".to_owned());
    rows.into_iter().map(|row| row.into_iter().map(text).collect::<Vec<_>>().join("|")).collect()
}

#[test]
fn a_cell_is_a_number_where_its_whole_column_is() {
    assert_eq!(
        texts("select * from t order by rowid"),
        ["ann|1|007", "bob|-|8", "cid|3|x", "bob|4.5|9007199254740993"]
    );
    assert_eq!(texts("select typeof(size), typeof(code) from t where rowid = 1"), ["real|text"]);
    assert_eq!(texts("select count(*), count(size), avg(size), sum(size) / 2 from t"), ["4|3|2.8333333333333335|4.25"]);
    assert_eq!(texts("select a, b, c, d from j"), ["1|x|-|-", "9007199254740993|-|[1, 2]|true"]);
}

#[test]
fn only_the_columns_that_are_read_are_loaded() {
    let (answer, _) = ask(folder().path(), "select count(*) from t where NAME = 'bob'").unwrap();
    assert_eq!((answer.tables[0].columns.clone(), answer.tables[0].rows), (vec!["name".to_owned()], 4));
    let (answer, rows) = ask(folder().path(), "select count(*) from t").unwrap();
    assert_eq!((answer.tables[0].columns.len(), &rows[0][0]), (0, &SqlValue::Integer(4)));
    assert_eq!(answer.tables[0].sha256, lepton_core::Digest::of(TABLE.as_bytes()));
    assert_eq!(texts("with p as (select name, size from t) select p.name from p join j on p.size = j.a"), ["ann"]);
}

#[test]
fn functions_agree_with_numpy() {
    // numpy.median, quantile(0.9), var(ddof=1) and std(ddof=1) of [1, 3, 4.5].
    let row =
        texts("select median(size), quantile(size, 0.9), round(variance(size), 12), round(stddev(size), 12) from t");
    assert_eq!(row, ["3|4.2|3.083333333333|1.755942292142"]);
    assert_eq!(texts("select median(size), stddev(size), sum(size), total(size) from t where size > 9"), ["-|-|-|0"]);
    assert_eq!(texts("select stddev(size) from t where size = 1"), ["-"]);
    assert_eq!(texts("select name from t where name regexp '^[ac]'"), ["ann", "cid"]);
    let sums = "select sum(size) over (order by rowid rows between 1 preceding and current row) from t";
    assert_eq!(texts(sums), ["1", "1", "3", "7.5"]);
    assert_eq!(texts("select sum(rowid), avg(rowid) from t"), ["10|2.5"]);
}

#[test]
fn a_text_is_not_summed_and_a_query_only_reads() {
    let refused = |sql: &str, code: ErrorCode, words: &str| {
        let error = ask(folder().path(), sql).map(|answer| answer.1).unwrap_err();
        assert_eq!(error.code(), code, "{sql}: {error}");
        assert!(error.to_string().contains(words), "{sql}: {error}");
    };
    refused("select avg(code) from t", ErrorCode::Usage, "\"007\" is a text and no number");
    refused("select sum(name) over () from t", ErrorCode::Usage, "is a text and no number");
    refused("select quantile(size, 2) from t", ErrorCode::Usage, "from 0 to 1");
    refused("select 1 from t where name regexp '('", ErrorCode::Usage, "no regular expression");
    refused("select nme from t", ErrorCode::NotFound, "did you mean \"name\"?");
    refused("select \"nme\" from t", ErrorCode::NotFound, "did you mean \"name\"?");
    refused("selec * from t", ErrorCode::Usage, "at character 1 of the query");
    refused("select * from u", ErrorCode::NotFound, "there is no u");
    refused("select 1; select 2", ErrorCode::Usage, "more than one statement");
    refused("", ErrorCode::Usage, "not a query");
    for sql in [
        "delete from t",
        "create table x (a)",
        "drop table t",
        "attach 'x.db' as x",
        "pragma cache_size = 1",
        "select * from sqlite_master",
        "select * from pragma_table_info('t')",
        "select load_extension('x')",
        "insert into t (name) values ('x')",
        "vacuum into 'x.db'",
    ] {
        let error = ask(folder().path(), sql).map(|answer| answer.1).unwrap_err();
        assert!(matches!(error.code(), ErrorCode::NotAllowed | ErrorCode::Usage), "{sql}: {error}");
    }
}

#[test]
fn a_broken_file_and_a_doubled_name_are_errors_with_their_place() {
    let folder = folder();
    std::fs::write(folder.path().join("t.csv"), "a,b\n1,2\n3\n").unwrap();
    let error = ask(folder.path(), "select a from t").map(|answer| answer.1).unwrap_err();
    assert_eq!(error.place().row, Some(3), "{error}");
    std::fs::write(folder.path().join("t.csv"), "a,A\n1,2\n").unwrap();
    let error = ask(folder.path(), "select * from t").map(|answer| answer.1).unwrap_err();
    assert!(error.to_string().contains("capital letters"), "{error}");
}

#[test]
fn a_query_that_runs_for_ever_can_be_stopped() {
    let folder = folder();
    let cancel = Cancel::default();
    let work = SqlWork { scratch: folder.path(), threads: 1, progress: &Silent, cancel: &cancel };
    let sql = "with recursive n (i) as (select 1 union all select i + 1 from n) select i from n";
    let mut rows = 0;
    let error = query(
        sql,
        &work,
        |_| Err(Error::internal("no table is named")),
        |_, _| {
            rows += 1;
            if rows == 1_000 {
                cancel.cancel();
            }
            Ok(())
        },
    )
    .map(|_| ())
    .unwrap_err();
    assert_eq!(error.code(), ErrorCode::Cancelled, "{error}");
}
