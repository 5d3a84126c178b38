//! The configuration of `serve`: the file, the flags over it, and what is said of each mistake.

mod support;

use std::path::{Path, PathBuf};

use support::{Ran, root, run, sente};

/// A folder with a `serve.toml`.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("serve.toml"), text).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn check(&self, more: &[&str]) -> Ran {
        let file = self.path("serve.toml");
        let mut args = vec!["serve", "--check-config", "--config", text(&file)];
        args.extend(more);
        run(&args, b"")
    }

    fn print(&self, more: &[&str]) -> Ran {
        let file = self.path("serve.toml");
        let mut args = vec!["serve", "--print-config", "--config", text(&file)];
        args.extend(more);
        run(&args, b"")
    }

    /// The one fault in it, without the folder.
    fn fault(&self, more: &[&str]) -> String {
        let ran = self.check(more);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{}", ran.err);
        ran.err
            .replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What is said of a file with this text.
fn fault(text: &str) -> String {
    Folder::with(text).fault(&[])
}

const WS: &str = "[[listen]]\nurl = \"ws://127.0.0.1:0/\"\n";

#[test]
fn every_default_stands_in_the_documented_file() {
    let documented = root().join("docs/serve.toml");
    let from_file = run(
        &["serve", "--print-config", "--config", text(&documented)],
        b"",
    );
    assert_eq!(from_file.code, Some(0), "{}", from_file.err);
    let defaults = run(&["serve", "--print-config", "--ws", "127.0.0.1:8080"], b"");
    assert_eq!(from_file.out, defaults.out);
    let file = std::fs::read_to_string(&documented).unwrap();
    for line in defaults.out.lines().filter(|line| !line.is_empty()) {
        assert!(file.contains(line), "{line}");
    }
    let bare = run(&["serve", "--print-config"], b"");
    assert_eq!(bare.code, Some(0), "{}", bare.err);
    assert!(bare.out.contains("[hub.grace]"), "{}", bare.out);
}

#[test]
fn a_printed_configuration_reads_back_as_it_was() {
    let folder = Folder::with(
        "[[listen]]\nurl = \"ws://[::1]:0/\"\ndialect = \"sente\"\npacker = \"msgpack\"\n\
         packer-by-path = { \"/a\" = \"gzip-edn\", \"/b\" = \"json\" }\n\
         [[listen]]\nurl = \"unix:/tmp/x.sock\"\n\
         [admission]\norigins = [\"https://a.example\", \"http://localhost:8080\"]\n\
         csrf = \"generated\"\nconnect-rate = \"600/min burst 9\"\nmax-per-address = 3\n\
         [hub.grace]\najax = \"0s\"\n[slow-consumer]\nclose-after = \"1m 30s\"\n\
         [log]\nlevel = \"info,sente_core=trace\"\nfile = \"/tmp/x.log\"\nformat = \"json\"\n",
    );
    let once = folder.print(&[]);
    assert_eq!(once.code, Some(0), "{}", once.err);
    let again = Folder::with(&once.out).print(&[]);
    assert_eq!(
        (again.out.as_str(), again.code),
        (once.out.as_str(), Some(0))
    );
    for part in [
        "\"http://localhost:8080\"",
        "1m 30s",
        "600/min burst 9",
        "gzip-edn",
    ] {
        assert!(once.out.contains(part), "{part}: {}", once.out);
    }
}

#[test]
fn a_secret_is_neither_printed_nor_read_back() {
    let folder = Folder::with(&format!(
        "{WS}[admission]\nauth-token = \"swordfish\"\ncsrf = {{ token = \"sesame\" }}\n"
    ));
    let ran = folder.print(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(
        !ran.out.contains("swordfish") && !ran.out.contains("sesame"),
        "{}",
        ran.out
    );
    assert_eq!(ran.out.matches("<redacted>").count(), 2, "{}", ran.out);
    let said = fault(&ran.out);
    assert!(
        said.contains("admission.auth-token") || said.contains("admission.csrf"),
        "{said}"
    );
    assert!(
        said.contains("put the secret here, or remove the line"),
        "{said}"
    );
    // A fault beside a secret does not show its line.
    let said = fault(&format!("{WS}[admission]\nauth-token = \" \"\n"));
    assert!(said.contains("a secret is not blank"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_fault_names_its_file_line_column_and_key_and_shows_the_place() {
    let said = fault("# mine\n[[listen]]\nurl = \"ws://127.0.0.1:0/\"\npackr = \"edn\"\n");
    assert_eq!(
        said,
        "error: serve.toml:4:1: listen[0].packr: there is no key packr here; did you mean packer? \
         There are url, dialect, packer, packer-by-path, deflate, small-frames, tls\n  \
         4 | packr = \"edn\"\n    | ^^^^^\n"
    );
}

#[test]
fn every_mistake_in_a_file_says_where_it_is_and_what_to_do() {
    let cases = [
        // What is said of keys and tables.
        ("", "listen: there is nothing to listen on; add [[listen]]"),
        (
            "[admision]\n",
            "serve.toml:1:2: admision: there is no key admision here; did you mean admission?",
        ),
        (
            "[log]\ncolour = true\n",
            "serve.toml:2:1: log.colour: there is no key colour here: there are level, file, format",
        ),
        (
            "[[listen]]\n",
            "serve.toml:1:1: listen[0]: missing field `url`",
        ),
        (
            "[log]\nlevel = \"info\"\nlevel = \"warn\"\n",
            "serve.toml:3:1: duplicate key",
        ),
        (
            "[hub.grace]\n[hub\n",
            "serve.toml:2:5: unclosed table, expected `]`",
        ),
        (
            "[hub]\ngrace = \"5s\"\n",
            "serve.toml:2:9: hub.grace: invalid type: string \"5s\", expected a table",
        ),
        (
            "listen = \"ws://127.0.0.1:0/\"\n",
            "serve.toml:1:10: listen: invalid type: string \"ws://127.0.0.1:0/\", expected a list",
        ),
        // Values.
        (
            "[[listen]]\nurl = \"gopher://x\"\n",
            "serve.toml:2:7: listen[0].url: ",
        ),
        (
            "[[listen]]\nurl = \"exec:cat\"\n",
            "exec: starts a child and is nothing to listen on",
        ),
        (
            "[[listen]]\nurl = \"fifo:/tmp/a,/tmp/b\"\n",
            "fifo: is one connection and nothing to listen on",
        ),
        (
            "[[listen]]\nurl = 8080\n",
            "expected a URL to listen on, such as \"ws://127.0.0.1:8080/\"",
        ),
        (
            "[[listen]]\nurl = \"ws://127.0.0.1:0/\"\npacker = \"bencode\"\n",
            "serve.toml:3:10: listen[0].packer: there is no packer \"bencode\"; there are edn, json",
        ),
        (
            "[[listen]]\nurl = \"ws://127.0.0.1:0/\"\ndialect = \"sente-light\"\n",
            "listen[0].dialect: there is no word sente-light here; did you mean sente-lite?",
        ),
        (
            "[admission]\norigins = [\"https://a.example\", \"b.example\"]\n",
            "serve.toml:2:33: admission.origins[1]: \"b.example\" would allow nobody: write it as scheme://host",
        ),
        (
            "[admission]\norigins = [\"null\"]\n",
            "the origin of every sandboxed page",
        ),
        (
            "[admission]\norigins = \"any\"\n",
            "expected \"all\", or a list such as [\"https://app.example\"]",
        ),
        (
            "[admission]\ncsrf = \"on\"\n",
            "admission.csrf: there is no word on here",
        ),
        (
            "[admission]\nmax-connections = -1\n",
            "serve.toml:2:19: admission.max-connections: invalid value: integer `-1`, expected a number",
        ),
        (
            "[admission]\nmax-connections = \"all\"\n",
            "\"all\" is no number; write one like 1000, or \"unlimited\"",
        ),
        (
            "[admission]\nconnect-rate = \"10\"\n",
            "admission.connect-rate: \"10\" is no rate; write 10/s",
        ),
        (
            "[hub.grace]\najax = \"5\"\n",
            "serve.toml:2:8: hub.grace.ajax: a time needs a unit: write 5s or 5ms",
        ),
        (
            "[hub.grace]\najax = 5\n",
            "hub.grace.ajax: invalid value: integer `5`, expected a time with its unit, such as \"30s\"",
        ),
        (
            "[hub]\ntakeover = \"newst\"\n",
            "hub.takeover: there is no word newst here; did you mean newest?",
        ),
        (
            "[limits]\nmax-frame-bytes = \"64KB\"\n",
            "limits.max-frame-bytes: \"64KB\" is no size; write 65536, 64KiB",
        ),
        (
            "[limits]\nsend-high-water = 101\n",
            "expected a percentage from 0 to 100",
        ),
        (
            "[log]\nlevel = \"inf\"\n",
            "log.level: there is no level \"inf\"; there are error, warn",
        ),
        (
            "[log]\nlevel = \"a=b=c\"\n",
            "filters such as info,sente_adapters=debug",
        ),
        (
            "[http]\nhealth = \"health\"\n",
            "http.health: \"health\" is no path; write one that begins with a slash, such as /health, or \"off\"",
        ),
    ];
    for (text, part) in cases {
        let said = fault(text);
        assert!(said.contains(part), "{text}\n{said}");
    }
}

#[test]
fn what_does_not_fit_together_says_where_it_is_and_what_to_do() {
    let cases = [
        (
            "[limits]\nmax-frame-bytes = 0\n",
            "serve.toml:4:19: limits.max-frame-bytes: with 0 no frame could ever pass",
        ),
        (
            "[slow-consumer]\nlow-water = 80\n",
            "serve.toml:4:13: slow-consumer.low-water: 80 is above the high water of 75",
        ),
        (
            "[limits]\nsend-high-water = 40\n",
            "limits.send-low-water: 50 is above the high water of 40",
        ),
        (
            "[keepalive]\ninterval = \"5s\"\n",
            "keepalive.timeout: is missing: interval is set",
        ),
        (
            "[keepalive]\ntimeout = \"5s\"\n",
            "keepalive.interval: is missing: timeout is set",
        ),
        (
            "[admission]\nauth-token = \"a\"\nauth-token-file = \"b\"\n",
            "serve.toml:5:19: admission.auth-token-file: auth-token says the token already",
        ),
        (
            "[admission]\nauth-token-file = \"none\"\n",
            "serve.toml:4:19: admission.auth-token-file: cannot read none: No such file",
        ),
        (
            "[admission]\nauth-token = \"a\"\n[[listen]]\nurl = \"tcp://127.0.0.1:0\"\n",
            "serve.toml:6:7: listen[1].url: whoever reaches it is let in without a token",
        ),
        (
            "[[listen]]\nurl = \"tcp://127.0.0.1:0\"\ndeflate = true\n",
            "listen[1].deflate: only WebSockets have permessage-deflate",
        ),
        (
            "[[listen]]\nurl = \"unix:/tmp/x\"\npacker-by-path = { \"/a\" = \"edn\" }\n",
            "listen[1].packer-by-path: only WebSockets have paths, and this is unix:/tmp/x",
        ),
        (
            "packer-by-path = { \"a\" = \"edn\" }\n",
            "listen[0].packer-by-path: a path begins with a slash: write \"/a\"",
        ),
        (
            "[[listen]]\nurl = \"unix:/tmp/x\"\n[[listen]]\nurl = \"unix:/tmp/x\"\n",
            "serve.toml:6:7: listen[2].url: listen[1] listens on unix:/tmp/x already",
        ),
        (
            "tls = { cert = \"c.pem\", key = \"k.pem\" }\n",
            "serve.toml:3:7: listen[0].tls: TLS is for wss:// and tls:// URLs, and this is ws://127.0.0.1:0/; write one",
        ),
        (
            "[http]\nstats = \"/health\"\n",
            "http.stats: health has the path /health already",
        ),
        (
            "[[listen]]\nurl = \"wss://127.0.0.1:0/\"\n",
            if cfg!(feature = "tls") {
                "serve.toml:4:7: listen[1].url: wss://127.0.0.1:0/ needs a certificate; add tls = { cert"
            } else {
                "serve.toml:4:7: listen[1].url: wss: is not built in: TLS needs the feature `tls`"
            },
        ),
        (
            "[ajax]\npoll-timeout = \"60s\"\n",
            "ajax.poll-timeout: a request is held for less than a minute",
        ),
    ];
    for (text, part) in cases {
        let said = fault(&format!("{WS}{text}"));
        assert!(said.contains(part), "{text}\n{said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_said_to_be() {
    let ran = run(&["serve", "--config", "no-such.toml"], b"");
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.err
            .starts_with("error: cannot read no-such.toml: No such file"),
        "{}",
        ran.err
    );
    let folder = Folder::with("");
    std::fs::write(folder.path("serve.toml"), b"[log]\n# \xff\n").unwrap();
    assert!(folder.fault(&[]).contains("utf-8"));
}

#[test]
fn flags_overrule_the_file_and_the_environment() {
    let folder = Folder::with(&format!(
        "{WS}[admission]\nmax-connections = 7\ncsrf = \"generated\"\n[shutdown]\ndrain = \"9s\"\n\
         [hub.grace]\najax = \"1s\"\n"
    ));
    let ran = folder.print(&[
        "--tcp",
        "127.0.0.1:0",
        "--packer",
        "json",
        "--max-connections",
        "8",
        "--csrf",
        "off",
        "--allow-origin",
        "https://a.example",
        "--allow-origin",
        "https://b.example",
        "--set",
        "hub.grace.ajax=2s",
        "--set",
        "hub.wrap-pushes=true",
        "--set",
        "limits.max-depth=9",
        "--log-format",
        "json",
        "--connect-rate",
        "5/s",
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for part in [
        "url = \"tcp://127.0.0.1:0\"",
        "packer = \"json\"",
        "max-connections = 8",
        "csrf = \"off\"",
        "\"https://b.example\"",
        "drain = \"9s\"",
        "ajax = \"2s\"",
        "wrap-pushes = true",
        "max-depth = 9",
        "format = \"json\"",
        "connect-rate = \"5/s\"",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    assert!(
        !ran.out.contains("ws://"),
        "listeners by flags take the place of the file's"
    );
}

#[test]
fn a_mistake_in_a_flag_names_the_flag() {
    let folder = Folder::with(WS);
    let cases: &[(&[&str], &str)] = &[
        (
            &["--max-connections", "many"],
            "error: --max-connections: \"many\" is no number",
        ),
        (
            &["--connect-rate", "often"],
            "error: --connect-rate: \"often\" is no rate; write 10/s",
        ),
        (
            &["--allow-origin", "a.example"],
            "error: --allow-origin: \"a.example\" would allow nobody",
        ),
        (
            &["--set", "limits.max-dept=1"],
            "error: --set limits.max-dept: there is no key max-dept here; did you mean max-depth?",
        ),
        (
            &["--set", "limits.max-depth"],
            "error: --set: write KEY=VALUE",
        ),
        (&["--set", "log.level.x=1"], "error: --set log.level.x: "),
        (
            &["--set", "limits.max-frame-bytes=0"],
            "error: --set limits.max-frame-bytes: with 0 no frame",
        ),
        (
            &["--auth-token", " "],
            "error: --auth-token: a secret is not blank",
        ),
        (
            &["--auth-token-file", "none"],
            "error: --auth-token-file: cannot read none: No such file",
        ),
        (
            &["--packer", "edn", "--packer", "json"],
            "error: --packer: there are two",
        ),
        (
            &["--tcp", "127.0.0.1:0", "--packer", "/a=edn"],
            "error: --packer /a=edn: only WebSockets have paths",
        ),
    ];
    for (flags, part) in cases {
        let said = folder.fault(flags);
        assert!(said.starts_with(part), "{flags:?}\n{said}");
    }
}

#[test]
fn paths_in_a_file_are_beside_it() {
    let folder = Folder::with(&format!("{WS}[admission]\nauth-token-file = \"token\"\n"));
    std::fs::write(folder.path("token"), "swordfish\n").unwrap();
    let ran = folder.check(&[]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{}", ran.err);
    assert!(ran.err.contains("nothing is wrong"), "{}", ran.err);
    let folder = Folder::with(&format!("{WS}[record]\ndir = \"kept\"\n"));
    let printed = folder.print(&[]).out;
    let dir = format!("dir = {:?}", folder.path("kept"));
    assert!(printed.contains(&dir), "{printed}");
    let checked = folder.check(&[]);
    assert_eq!(checked.code, Some(0), "{}", checked.err);
    assert!(!folder.path("kept").exists(), "a check makes nothing");
}

#[test]
fn the_token_in_the_environment_comes_before_the_file_s() {
    let folder = Folder::with(&format!("{WS}[admission]\nauth-token-file = \"none\"\n"));
    let out = sente()
        .args(["serve", "--check-config", "--config"])
        .arg(folder.path("serve.toml"))
        .env("SENTE_AUTH_TOKEN", "swordfish")
        .output()
        .unwrap();
    assert_eq!(
        out.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn the_file_in_the_readme_is_right() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let file = readme.split("```toml\n").nth(1).unwrap();
    let folder = Folder::with(file.split("```").next().unwrap());
    std::fs::write(folder.path("auth-token"), "swordfish\n").unwrap();
    let ran = folder.check(&["--max-connections", "5000"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.err, "nothing is wrong with the configuration\n");
}
