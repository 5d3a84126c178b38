//! The configuration in force: the file, overruled by flags and the environment.

use std::path::Path;

use sente_adapters::Address;
use serde::Deserialize;
use toml::{Table, Value};

use crate::args::PackerAt;
use crate::serve::ServeArgs;

use super::check;
use super::file::{Document, Fault, in_plain_words};
use super::sections::{Config, Listen};
use super::units::Spelled;
use super::values::{Csrf, ListenUrl, Origins, PackerName, Secret};

/// A configuration that fits together, and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// What is in force.
    pub(crate) config: Config,
    /// The token that clients have to show, wherever it stands.
    pub(crate) auth_token: Option<Secret>,
}

impl Loaded {
    /// Reads the file, if one is named, and applies the flags.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub(crate) fn load(args: &ServeArgs, environment: &Environment) -> Result<Self, Fault> {
        let document = args.config.as_deref().map(Document::read).transpose()?;
        let mut table = Table::new();
        if let Some(document) = &document {
            // Read as a whole first: only then is it known where a fault is.
            document.to_config()?;
            table = document.to_table()?;
            let folder = document.path().parent();
            beside(&mut table, folder.unwrap_or_else(|| Path::new("")));
        }
        let of = |table: &Table, flag: &str| {
            Config::deserialize(table.clone())
                .map_err(|error| Fault::of_flag(flag, in_plain_words(error.message())))
        };
        let mut config = of(&table, "--config")?;
        for change in changes(args, environment)? {
            put(&mut table, &change)?;
            config = of(&table, &change.flag)?;
        }
        listeners(&mut config, args)?;
        // A configuration that is only printed need not be complete.
        if !args.print_config || args.config.is_some() {
            check::check(&config)
                .map_err(|wrong| point(&wrong, args, environment, document.as_ref()))?;
        }
        let auth_token = match &config.admission.auth_token_file {
            None => config.admission.auth_token.clone(),
            Some(path) => Some(token_of(path).map_err(|message| {
                let wrong = check::Wrong::at("admission.auth-token-file", message);
                point(&wrong, args, environment, document.as_ref())
            })?),
        };
        Ok(Self { config, auth_token })
    }

    /// Who is let in, in a few words.
    pub(crate) fn about(&self) -> String {
        let admission = &self.config.admission;
        let mut asked = Vec::new();
        if admission.csrf != Csrf::Off {
            asked.push("a csrf token".to_owned());
        }
        if self.auth_token.is_some() {
            asked.push("an auth token".to_owned());
        }
        match &admission.origins {
            Origins::All => {}
            Origins::Only(origins) => {
                let names: Vec<String> = origins.iter().map(Spelled::spell).collect();
                asked.push(format!("the origin {}", names.join(" or ")));
            }
        }
        match asked.as_slice() {
            [] => "lets everybody in".to_owned(),
            asked => format!("asks WebSockets for {}", asked.join(", ")),
        }
    }
}

/// What the environment says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// `SENTE_AUTH_TOKEN`.
    pub(crate) auth_token: Option<String>,
}

impl Environment {
    /// That of this process.
    pub(crate) fn of_process() -> Self {
        Self {
            auth_token: std::env::var("SENTE_AUTH_TOKEN").ok(),
        }
    }
}

/// One key that is overruled.
struct Change {
    /// What overrules it, for errors: never with its value, which may be secret.
    flag: String,
    key: String,
    value: Value,
}

impl Change {
    fn new(flag: &str, key: &str, value: impl Into<Value>) -> Self {
        Self {
            flag: flag.to_owned(),
            key: key.to_owned(),
            value: value.into(),
        }
    }
}

/// What flags and the environment overrule, the strongest last.
fn changes(args: &ServeArgs, environment: &Environment) -> Result<Vec<Change>, Fault> {
    let mut changes = Vec::new();
    for set in &args.set {
        let Some((key, value)) = set.split_once('=') else {
            return Err(Fault::of_flag(
                "--set",
                "write KEY=VALUE, such as limits.max-frame-bytes=64KiB",
            ));
        };
        let (key, value) = (key.trim(), value.trim());
        changes.push(Change::new(&format!("--set {key}"), key, value_of(value)));
    }
    if let Some(token) = &environment.auth_token
        && args.auth_token_file.is_none()
    {
        let key = "admission.auth-token";
        changes.push(Change::new("SENTE_AUTH_TOKEN", key, token.as_str()));
    }
    let mut text = |flag: &str, key: &str, value: Option<&str>| {
        changes.extend(value.map(|value| Change::new(flag, key, value)));
    };
    let path = |flag: &str, path: Option<&Path>| match path {
        None => Ok(None),
        Some(path) => match path.to_str() {
            Some(path) => Ok(Some(path.to_owned())),
            None => Err(Fault::of_flag(flag, "the path is not UTF-8")),
        },
    };
    text(
        "--auth-token",
        "admission.auth-token",
        args.auth_token.as_deref(),
    );
    let file = path("--auth-token-file", args.auth_token_file.as_deref())?;
    text(
        "--auth-token-file",
        "admission.auth-token-file",
        file.as_deref(),
    );
    let most = args.max_connections.as_deref();
    text("--max-connections", "admission.max-connections", most);
    let most = args.max_per_address.as_deref();
    text("--max-per-address", "admission.max-per-address", most);
    let rate = args.connect_rate.as_deref();
    text("--connect-rate", "admission.connect-rate", rate);
    text("--metrics", "http.metrics", args.metrics.as_deref());
    text("--inspector", "http.inspector", args.inspector.as_deref());
    let file = path("--log-file", args.log_file.as_deref())?;
    text("--log-file", "log.file", file.as_deref());
    let directory = path("--record", args.record.as_deref())?;
    text("--record", "record.dir", directory.as_deref());
    let drain = args.drain.map(|time| super::Time(time).spell());
    text("--drain", "shutdown.drain", drain.as_deref());
    let format = args
        .log_format
        .and_then(|format| Value::try_from(format).ok());
    changes.extend(format.map(|format| Change::new("--log-format", "log.format", format)));
    if !args.allow_origin.is_empty() {
        let origins = args.allow_origin.clone();
        changes.push(Change::new("--allow-origin", "admission.origins", origins));
    }
    if let Some(csrf) = &args.csrf {
        let value = match csrf.as_str() {
            "off" | "generated" => Value::from(csrf.as_str()),
            token => Value::from(Table::from_iter([("token".to_owned(), Value::from(token))])),
        };
        changes.push(Change::new("--csrf", "admission.csrf", value));
    }
    Ok(changes)
}

/// A value as TOML has it, or else as a bare text.
fn value_of(text: &str) -> Value {
    let parsed: Option<Table> = toml::from_str(&format!("value = {text}\n")).ok();
    parsed
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::from(text))
}

/// Sets a key; of the two ways to name the token the one that is set wins.
fn put(table: &mut Table, change: &Change) -> Result<(), Fault> {
    let wrong = || {
        Fault::of_flag(
            change.flag.clone(),
            "write the path of a key, such as limits.max-frame-bytes; listeners have flags of \
             their own",
        )
    };
    let mut inner = &mut *table;
    let mut names = change.key.split('.').peekable();
    while let Some(name) = names.next() {
        if name.is_empty() {
            return Err(wrong());
        }
        if names.peek().is_none() {
            inner.insert(name.to_owned(), change.value.clone());
            if change.key.starts_with("admission.auth-token") {
                inner.retain(|other, _| other == name || !other.starts_with("auth-token"));
            }
            return Ok(());
        }
        let entry = inner
            .entry(name)
            .or_insert_with(|| Value::Table(Table::new()));
        inner = entry.as_table_mut().ok_or_else(wrong)?;
    }
    Err(wrong())
}

/// Takes the paths in a file for paths beside it.
fn beside(table: &mut Table, folder: &Path) {
    let join = |inner: &mut Table, name: &str| {
        if let Some(Value::String(path)) = inner.get_mut(name) {
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
    };
    let paths = [
        ("admission", "auth-token-file"),
        ("log", "file"),
        ("record", "dir"),
    ];
    for (section, name) in paths {
        if let Some(Value::Table(inner)) = table.get_mut(section) {
            join(inner, name);
        }
    }
    let listen = table.get_mut("listen").and_then(Value::as_array_mut);
    for listen in listen.into_iter().flatten() {
        if let Some(Value::Table(tls)) = listen.get_mut("tls") {
            join(tls, "cert");
            join(tls, "key");
            join(tls, "client-ca");
        }
    }
}

/// Listeners by flags take the place of the file's; what is spoken there is laid over either.
fn listeners(config: &mut Config, args: &ServeArgs) -> Result<(), Fault> {
    let mut urls = Vec::new();
    for address in &args.ws {
        urls.push(("--ws", format!("ws://{address}/")));
    }
    for address in &args.tcp {
        urls.push(("--tcp", format!("tcp://{address}")));
    }
    for path in &args.unix {
        let wrong = |why: &dyn std::fmt::Display| {
            Fault::of_flag("--unix", format!("{}: {why}", path.display()))
        };
        let path = std::path::absolute(path).map_err(|error| wrong(&error))?;
        let path = path
            .to_str()
            .ok_or_else(|| wrong(&"the path is not UTF-8"))?;
        urls.push(("--unix", format!("unix:{path}")));
    }
    if args.stdio {
        urls.push(("--stdio", "stdio:".to_owned()));
    }
    if !urls.is_empty() {
        let read = |(flag, url): &(&str, String)| {
            let url = ListenUrl::read(url).map_err(|error| Fault::of_flag(*flag, error))?;
            Ok(Listen::new(url))
        };
        config.listen = urls.iter().map(read).collect::<Result<_, Fault>>()?;
    }
    for listen in &mut config.listen {
        listen.dialect = args.dialect.or(listen.dialect);
    }
    packers(config, &args.packer)
}

fn packers(config: &mut Config, flags: &[PackerAt]) -> Result<(), Fault> {
    let mut paths = Vec::new();
    for PackerAt { path, packer } in flags {
        let named = path.as_deref().unwrap_or("the same listeners");
        if paths.contains(&path) {
            return Err(Fault::of_flag(
                "--packer",
                format!("there are two for {named}"),
            ));
        }
        paths.push(path);
        let packer = PackerName(packer.0.clone());
        let mut heard = path.is_none();
        for listen in &mut config.listen {
            let web = matches!(listen.url.0.address, Address::Ws(_));
            match path {
                None => listen.packer = Some(packer.clone()),
                Some(path) if web => {
                    heard = true;
                    listen.packer_by_path.insert(path.clone(), packer.clone());
                }
                Some(_) => {}
            }
        }
        if !heard {
            return Err(Fault::of_flag(
                format!("--packer {named}={}", packer.spell()),
                "only WebSockets have paths, and there is no --ws",
            ));
        }
    }
    Ok(())
}

/// The first line of a file, which is the token.
fn token_of(path: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let line = text.lines().next().unwrap_or_default().trim();
    Secret::new(line).map_err(|error| format!("the first line of {}: {error}", path.display()))
}

/// Where what does not fit together was said.
fn point(
    wrong: &check::Wrong,
    args: &ServeArgs,
    environment: &Environment,
    document: Option<&Document>,
) -> Fault {
    let flags = changes(args, environment).unwrap_or_default();
    let by_flag = flags.iter().rev().find(|change| change.key == wrong.key);
    match (by_flag, document) {
        (Some(change), _) => Fault::of_flag(change.flag.clone(), &wrong.message),
        (None, Some(document)) => document.fault(&wrong.key, &wrong.message),
        (None, None) => Fault::of_key(&wrong.key, &wrong.message),
    }
}
