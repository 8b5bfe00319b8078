//! Real servers for the tests of sources: PostgreSQL, MariaDB, and two that speak the protocols of S3
//! and of Azure Blob Storage. Each runs in a folder
//! of its own on a free loopback port, as a user without rights where it insists, and ends with its value.

use crate::{python, setting};
use rustix::process::{Pid, Signal, kill_process};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than any of these servers takes to start on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// The user and the password of every database server here.
const USER: &str = "ann";
const PASSWORD: &str = "correct horse";

/// A port of the loopback address that nobody used a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

/// A process that ends with the value.
struct Process {
    child: Child,
    signal: Signal,
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(Some(_)) = self.child.try_wait() {
            return;
        }
        let pid = Pid::from_child(&self.child);
        // One that has just ended cannot be told to.
        let _ = kill_process(pid, self.signal);
        let _ = self.child.wait();
    }
}

/// Waits until somebody listens on the port.
fn wait_for(process: &mut Process, port: u16, log: &Path) {
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = process.child.try_wait().expect("the server's state");
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(ended.is_none(), "the server ended: {}", said());
        assert!(started.elapsed() < PATIENCE, "the server does not listen: {}", said());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A program by its name: of PATH, or of the folders where Debian keeps servers.
fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    let found = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: install the package {package}, or run ./tests/run"))
}

/// Makes a command run as a user without rights, where this process is root: these servers refuse to be root.
fn without_rights(command: &mut Command, folder: &Path, user: &str) {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("the list of users");
    let line = |name: &str| users.lines().find(|line| line.starts_with(&format!("{name}:")));
    let line = line(user).or_else(|| line("nobody")).expect("a user without rights");
    let number = |place: usize| line.split(':').nth(place).and_then(|field| field.parse().ok()).expect("a number");
    let (uid, gid): (u32, u32) = (number(2), number(3));
    for path in [folder.to_path_buf()].into_iter().chain(walk(folder)) {
        chown(&path, Some(uid), Some(gid)).expect("the folder can be given away");
    }
    command.uid(uid).gid(gid);
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder").flatten() {
        if entry.path().is_dir() {
            found.extend(walk(&entry.path()));
        }
        found.push(entry.path());
    }
    found
}

fn done(mut command: Command) -> Output {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn start(mut command: Command, log: &Path, signal: Signal) -> Process {
    let file = std::fs::File::create(log).expect("a log");
    command.stdin(Stdio::null()).stdout(file.try_clone().expect("the log")).stderr(file);
    Process { child: command.spawn().expect("the server starts"), signal }
}

/// A certificate of localhost and 127.0.0.1, its key, and the authority that signed it, as PEM files.
pub struct Certificates {
    /// The authority's certificate.
    pub authority: PathBuf,
    /// The server's.
    pub certificate: PathBuf,
    /// The server's key.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes them in a folder.
    pub fn make(folder: &Path) -> Certificates {
        python(include_str!("certificates.py"), &[&folder.display().to_string()]);
        let [authority, certificate, key] = ["authority.pem", "server.pem", "server.key"].map(|name| folder.join(name));
        Certificates { authority, certificate, key }
    }
}

/// A PostgreSQL server with TLS, a user `ann` and her database `shop`.
pub struct Postgres {
    /// The port of 127.0.0.1.
    pub port: u16,
    /// The authority that vouches for it.
    pub authority: PathBuf,
    // In the order in which they go.
    _process: Process,
    folder: TempDir,
}

impl Postgres {
    /// Starts one and runs `sql` in it.
    pub fn start(sql: &str) -> Postgres {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (root, port) = (folder.path(), free_port());
        let certificates = Certificates::make(root);
        std::fs::write(root.join("password"), PASSWORD).expect("a file");
        let data = root.join("data");
        let mut initdb = Command::new(program("initdb", "postgresql"));
        initdb.args(["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--username", USER]);
        initdb.arg("--pwfile").arg(root.join("password")).arg("--pgdata").arg(&data);
        without_rights(&mut initdb, root, "postgres");
        done(initdb);
        let mut server = Command::new(program("postgres", "postgresql"));
        server.arg("-D").arg(&data).arg("-k").arg(root).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-F"]);
        let ssl = format!("ssl_cert_file={}", certificates.certificate.display());
        let key = format!("ssl_key_file={}", certificates.key.display());
        server.args(["-c", "ssl=on", "-c", &ssl, "-c", &key]);
        without_rights(&mut server, root, "postgres");
        let log = root.join("log");
        let mut process = start(server, &log, Signal::INT);
        wait_for(&mut process, port, &log);
        let postgres = Postgres { port, authority: certificates.authority, _process: process, folder };
        let started = Instant::now();
        while !postgres.psql("postgres", "SELECT 1").status.success() {
            assert!(started.elapsed() < PATIENCE, "{:?}", postgres.psql("postgres", "SELECT 1"));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(postgres.psql("postgres", "CREATE DATABASE shop").status.success());
        postgres.sql(sql);
        postgres
    }

    fn psql(&self, database: &str, sql: &str) -> Output {
        let mut command = Command::new(program("psql", "postgresql-client"));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER, "-d", database]);
        command.args(["-v", "ON_ERROR_STOP=1", "-qtAX", "-c", sql]).env("PGPASSWORD", PASSWORD).stdin(Stdio::null());
        command.output().expect("psql starts")
    }

    /// What SQL prints, run by the server's own client.
    pub fn sql(&self, sql: &str) -> String {
        let output = self.psql("shop", sql);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("psql prints UTF-8").trim().to_owned()
    }

    /// The URL of the database.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/shop", self.port)
    }

    /// Ann's password.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The folder of its socket.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A MariaDB server with TLS, a user `ann` and her database `shop`.
pub struct MariaDb {
    /// The port of 127.0.0.1.
    pub port: u16,
    /// The authority that vouches for it.
    pub authority: PathBuf,
    _process: Process,
    folder: TempDir,
}

impl MariaDb {
    /// Starts one and runs `sql` in it.
    pub fn start(sql: &str) -> MariaDb {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let (root, port) = (folder.path(), free_port());
        let certificates = Certificates::make(root);
        let data = format!("--datadir={}", root.join("data").display());
        let mut install = Command::new(program("mariadb-install-db", "mariadb-server"));
        install.args(["--no-defaults", &data, "--auth-root-authentication-method=normal", "--skip-test-db"]);
        install.args(["--skip-name-resolve", "--innodb-flush-log-at-trx-commit=0"]);
        without_rights(&mut install, root, "mysql");
        done(install);
        let mut server = Command::new(program("mariadbd", "mariadb-server"));
        server.args(["--no-defaults", &data, "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"]);
        server.arg(format!("--port={port}")).arg(format!("--socket={}", root.join("socket").display()));
        server.arg(format!("--pid-file={}", root.join("pid").display()));
        server.arg(format!("--ssl-cert={}", certificates.certificate.display()));
        server.arg(format!("--ssl-key={}", certificates.key.display()));
        server.arg("--innodb-flush-log-at-trx-commit=0");
        without_rights(&mut server, root, "mysql");
        let log = root.join("log");
        let mut process = start(server, &log, Signal::TERM);
        wait_for(&mut process, port, &log);
        let mariadb = MariaDb { port, authority: certificates.authority, _process: process, folder };
        mariadb.sql("CREATE DATABASE shop CHARACTER SET utf8mb4");
        mariadb.sql(&format!("CREATE USER {USER} IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON shop.* TO {USER}"));
        mariadb.sql(&format!("USE shop; {sql}"));
        mariadb
    }

    /// What SQL prints, run as root by the server's own client.
    pub fn sql(&self, sql: &str) -> String {
        let mut command = Command::new(program("mariadb", "mariadb-client"));
        command.args(["--no-defaults", "--default-character-set=utf8mb4", "-N", "-B", "-u", "root"]);
        command.arg(format!("--socket={}", self.folder.path().join("socket").display())).args(["-e", sql]);
        String::from_utf8(done(command).stdout).expect("mariadb prints UTF-8").trim().to_owned()
    }

    /// The URL of the database.
    pub fn url(&self) -> String {
        format!("mysql://{USER}@127.0.0.1:{}/shop", self.port)
    }

    /// Ann's password.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

/// A server that speaks S3's protocol.
pub struct Moto {
    /// The port of 127.0.0.1.
    pub port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Moto {
    /// Starts one with a bucket `shop` that holds these objects.
    pub fn start(objects: &[(&str, &[u8])]) -> Moto {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let port = free_port();
        let mut server = Command::new(setting("LEPTON_TEST_PYTHON"));
        server.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]).current_dir(folder.path());
        server.env("AWS_DEFAULT_REGION", "us-east-1");
        let log = folder.path().join("log");
        let mut process = start(server, &log, Signal::TERM);
        wait_for(&mut process, port, &log);
        let mut arguments = vec![format!("http://127.0.0.1:{port}"), "shop".to_owned()];
        for (place, (name, bytes)) in objects.iter().enumerate() {
            let file = folder.path().join(format!("object-{place}"));
            std::fs::write(&file, bytes).expect("a file");
            arguments.extend([(*name).to_owned(), file.display().to_string()]);
        }
        python(include_str!("put_object.py"), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        Moto { port, _process: process, _folder: folder }
    }

    /// The URL at which it is.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// A server that speaks the protocol of Azure Blob Storage.
pub struct Azurite {
    /// The port of 127.0.0.1.
    pub port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Azurite {
    /// Starts one with an account `ann`, whose container `shop` holds these blobs.
    pub fn start(blobs: &[(&str, &[u8])]) -> Azurite {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let port = free_port();
        let mut server = Command::new(setting("LEPTON_TEST_AZURITE"));
        server.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--skipApiVersionCheck"]);
        server.args(["--disableTelemetry", "--silent"]).arg("--location").arg(folder.path().join("blobs"));
        server.env("AZURITE_ACCOUNTS", format!("{USER}:{}", Azurite::key()));
        let log = folder.path().join("log");
        let mut process = start(server, &log, Signal::TERM);
        wait_for(&mut process, port, &log);
        let azurite = Azurite { port, _process: process, _folder: folder };
        let mut arguments = vec![azurite.endpoint(), Azurite::key().to_owned(), "shop".to_owned()];
        for (place, (name, bytes)) in blobs.iter().enumerate() {
            let file = azurite._folder.path().join(format!("blob-{place}"));
            std::fs::write(&file, bytes).expect("a file");
            arguments.extend([(*name).to_owned(), file.display().to_string()]);
        }
        python(include_str!("put_blob.py"), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        azurite
    }

    /// The account's key: "opens nothing anywhere" in base64.
    pub fn key() -> &'static str {
        "b3BlbnMgbm90aGluZyBhbnl3aGVyZQ=="
    }

    /// The URL of the account.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{USER}", self.port)
    }
}
