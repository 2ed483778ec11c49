//! A RabbitMQ of its own for a test, on free ports: with its STOMP and MQTT plugins, the users it is given, and
//! everything that it writes in a folder that goes away with it. Needs nothing but the standard library, so that the
//! tests of several crates, the benchmarks and the interop run include this file.

pub mod ports;

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// From the start to the first client that is let in: five seconds on an idle machine.
const START_TIME_MAX: Duration = Duration::from_secs(120);

/// How often it is started, each time on other ports: somebody may take one before it is there.
const STARTS_MAX: u32 = 3;

/// Where Debian has it; the program on the PATH changes the user and takes no folders.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// Who may do what: the permissions of RabbitMQ, as regular expressions.
#[derive(Clone, Debug)]
pub struct User<'a> {
    pub name: &'a str,
    pub password: &'a str,
    /// What may be made, written to and read from: queues and exchanges.
    pub permissions: [&'a str; 3],
    /// Routing keys of `amq.topic` that may be written and read.
    pub topics: Option<[&'a str; 2]>,
}

impl<'a> User<'a> {
    /// May do everything.
    pub fn all(name: &'a str, password: &'a str) -> Self {
        Self {
            name,
            password,
            permissions: [".*"; 3],
            topics: None,
        }
    }

    /// May write to topics of one pattern and read those of another, and nothing else.
    pub fn topics(name: &'a str, password: &'a str, write: &'a str, read: &'a str) -> Self {
        const QUEUE: &str = "^(stomp-subscription-|mqtt-subscription-)";
        const BOTH: &str = "^(stomp-subscription-.*|mqtt-subscription-.*|amq\\.topic)$";
        Self {
            name,
            password,
            permissions: [QUEUE, BOTH, BOTH],
            topics: Some([write, read]),
        }
    }
}

/// Certificates of the listeners with TLS, as PEM files.
pub struct Tls<'a> {
    pub authority: &'a Path,
    pub certificate: &'a Path,
    pub key: &'a Path,
}

/// One that runs; it ends when this goes out of scope.
pub struct RabbitMq {
    pub stomp: u16,
    /// Wants a client certificate, and takes its common name for the user when nobody else is named.
    pub stomp_tls: u16,
    pub mqtt: u16,
    /// Wants a client certificate, and a user name and password.
    pub mqtt_tls: u16,
    folder: PathBuf,
    children: Vec<Child>,
}

impl RabbitMq {
    /// Starts it and waits until it lets clients in. `more` are lines of its configuration.
    pub fn start(users: &[User<'_>], tls: Option<&Tls<'_>>, more: &str) -> Result<Self, String> {
        let mut why = String::new();
        for _ in 0..STARTS_MAX {
            match Self::start_once(users, tls, more) {
                Ok(started) => return Ok(started),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn start_once(users: &[User<'_>], tls: Option<&Tls<'_>>, more: &str) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let [stomp, stomp_tls, mqtt, mqtt_tls, dist, epmd] = ports::free_ports()?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("headend-rabbitmq-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        let mut started = Self {
            stomp,
            stomp_tls,
            mqtt,
            mqtt_tls,
            folder,
            children: Vec::new(),
        };
        started.configure(users, tls, more)?;
        // It would start one that outlives it.
        let mut mapper = Command::new("epmd");
        mapper.args(["-port", &epmd.to_string(), "-address", "127.0.0.1"]);
        let mapper = mapper.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        started.children.push(mapper.map_err(missing)?);
        let in_folder = |name: &str| started.folder.join(name);
        let mut server = Command::new(PROGRAM);
        server
            .process_group(0)
            .env("HOME", &started.folder)
            .env("RABBITMQ_NODENAME", format!("{name}@localhost"))
            .env("RABBITMQ_DIST_PORT", dist.to_string())
            .env("ERL_EPMD_PORT", epmd.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", in_folder("rabbitmq"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", in_folder("plugins"))
            .env("RABBITMQ_MNESIA_BASE", in_folder("mnesia"))
            .env("RABBITMQ_LOG_BASE", in_folder("log"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", in_folder("generated"))
            .env("RABBITMQ_FEATURE_FLAGS_FILE", in_folder("features"))
            .env("RABBITMQ_PID_FILE", in_folder("pid"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut server = server.spawn().map_err(missing)?;
        let output = server.stdout.take();
        started.children.push(server);
        let (line, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end, so that it never waits for us.
            for text in output
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines())
            {
                let _ = text.map(|text| line.send(text));
            }
        });
        let end = Instant::now() + START_TIME_MAX;
        let mut said = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(text) if text.contains("Server startup complete") => return Ok(started),
                Ok(text) => said.push(text),
                Err(_) => return Err(format!("it does not start: {}", said.join("\n"))),
            }
        }
    }

    fn configure(
        &self,
        users: &[User<'_>],
        tls: Option<&Tls<'_>>,
        more: &str,
    ) -> Result<(), String> {
        let mut config = format!(
            "listeners.tcp = none\nlog.console = true\nlog.console.level = info\nlog.file = false\n\
             loopback_users = none\nload_definitions = {}\nmqtt.allow_anonymous = false\n\
             stomp.listeners.tcp.1 = 127.0.0.1:{}\nmqtt.listeners.tcp.1 = 127.0.0.1:{}\n",
            self.folder.join("definitions.json").display(),
            self.stomp,
            self.mqtt
        );
        if let Some(tls) = tls {
            config += &format!(
                "stomp.listeners.ssl.1 = 127.0.0.1:{}\nstomp.ssl_cert_login = true\n\
                 mqtt.listeners.ssl.1 = 127.0.0.1:{}\n\
                 ssl_cert_login_from = common_name\nssl_options.verify = verify_peer\n\
                 ssl_options.fail_if_no_peer_cert = true\nssl_options.cacertfile = {}\n\
                 ssl_options.certfile = {}\nssl_options.keyfile = {}\n",
                self.stomp_tls,
                self.mqtt_tls,
                tls.authority.display(),
                tls.certificate.display(),
                tls.key.display()
            );
        }
        config += more;
        let write = |name: &str, text: &str| {
            let path = self.folder.join(name);
            std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        std::fs::create_dir_all(&self.folder).map_err(|error| error.to_string())?;
        write("rabbitmq.conf", &config)?;
        write(
            "plugins",
            "[rabbitmq_stomp,rabbitmq_mqtt,rabbitmq_auth_backend_http].",
        )?;
        write("definitions.json", &definitions(users))
    }

    /// Stops it at once, like a power cut.
    pub fn kill(&mut self) {
        for child in &mut self.children {
            // The server is a shell and what it starts: the whole group.
            let group = format!("-{}", child.id());
            let _ = Command::new("kill")
                .args(["-KILL", "--", &group])
                .stderr(Stdio::null())
                .status();
            let _ = child.kill();
            let _ = child.wait();
        }
        self.children.clear();
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn missing(error: std::io::Error) -> String {
    format!("RabbitMQ (Debian: apt-get install rabbitmq-server): {error}")
}

fn definitions(users: &[User<'_>]) -> String {
    let quote = |text: &str| format!("{text:?}");
    let join = |of: &dyn Fn(&User<'_>) -> Option<String>| {
        users.iter().filter_map(of).collect::<Vec<_>>().join(",")
    };
    let accounts = join(&|user| {
        let (name, password) = (quote(user.name), quote(user.password));
        Some(format!(
            "{{\"name\":{name},\"password\":{password},\"tags\":\"\"}}"
        ))
    });
    let permissions = join(&|user| {
        let [configure, write, read] = user.permissions.map(quote);
        let name = quote(user.name);
        Some(format!(
            "{{\"user\":{name},\"vhost\":\"/\",\"configure\":{configure},\"write\":{write},\"read\":{read}}}"
        ))
    });
    let topics = join(&|user| {
        let [write, read] = user.topics?.map(quote);
        let name = quote(user.name);
        Some(format!(
            "{{\"user\":{name},\"vhost\":\"/\",\"exchange\":\"amq.topic\",\"write\":{write},\"read\":{read}}}"
        ))
    });
    format!(
        "{{\"users\":[{accounts}],\"vhosts\":[{{\"name\":\"/\"}}],\"permissions\":[{permissions}],\
         \"topic_permissions\":[{topics}]}}"
    )
}
