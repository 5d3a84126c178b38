//! A configuration file: read, and every fault in it told with its line, its column, its key and
//! what to do.

use std::cmp::Reverse;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::sections::Config;

/// The text of a file, to point into.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    /// Reads the file.
    ///
    /// # Errors
    /// A [`Fault`] if it cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self, Fault> {
        let failed = |what: &dyn fmt::Display| Fault {
            place: Some(format!("cannot read {}", path.display())),
            key: None,
            message: what.to_string(),
            shown: None,
        };
        let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
        let text = String::from_utf8(bytes).map_err(|error| failed(&error))?;
        Ok(Self {
            path: path.to_owned(),
            text,
        })
    }

    /// Which file it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it says.
    ///
    /// # Errors
    /// The first [`Fault`] in it.
    pub(crate) fn to_config(&self) -> Result<Config, Fault> {
        toml::from_str(&self.text).map_err(|error| self.explain(&error))
    }

    /// The same as a table, to be changed key by key.
    ///
    /// # Errors
    /// As for [`to_config`](Self::to_config).
    pub(crate) fn to_table(&self) -> Result<toml::Table, Fault> {
        toml::from_str(&self.text).map_err(|error| self.explain(&error))
    }

    /// A fault of what stands at `key`, a path such as `listen[0].url`; at its nearest parent that
    /// the file has.
    pub(crate) fn fault(&self, key: &str, message: impl fmt::Display) -> Fault {
        let entries = self.entries();
        let mut wanted = key;
        let found = loop {
            if let Some(entry) = entries.iter().find(|entry| entry.path == wanted) {
                break Some(entry);
            }
            match wanted.rfind(['.', '[']) {
                Some(at) => wanted = wanted.get(..at).unwrap_or_default(),
                None => break None,
            }
        };
        match found {
            Some(entry) => self.fault_at(&entry.value, Some(key.to_owned()), message.to_string()),
            None => Fault {
                place: Some(self.path.display().to_string()),
                key: Some(key.to_owned()),
                message: message.to_string(),
                shown: None,
            },
        }
    }

    fn explain(&self, error: &toml::de::Error) -> Fault {
        let message = in_plain_words(error.message());
        let Some(span) = error.span() else {
            return Fault {
                place: Some(self.path.display().to_string()),
                key: None,
                message,
                shown: None,
            };
        };
        let key = self.key_at(&span);
        self.fault_at(&span, key, message)
    }

    /// The key whose name or value has this place.
    fn key_at(&self, span: &Range<usize>) -> Option<String> {
        let holds = |outer: &Range<usize>| outer.start <= span.start && span.end <= outer.end;
        self.entries()
            .into_iter()
            .filter(|entry| holds(&entry.name) || holds(&entry.value))
            .min_by_key(|entry| {
                let place = match holds(&entry.name) {
                    true => &entry.name,
                    false => &entry.value,
                };
                // The first table of a list begins where the list does.
                (place.len(), Reverse(entry.path.len()))
            })
            .map(|entry| entry.path)
    }

    /// Every key of the file, if it can be parsed.
    fn entries(&self) -> Vec<Entry> {
        let Ok(root) = DeTable::parse(&self.text) else {
            return Vec::new();
        };
        let mut entries = Vec::new();
        let mut tables = vec![(String::new(), root.get_ref())];
        while let Some((parent, table)) = tables.pop() {
            for (name, value) in table {
                let path = match parent.as_str() {
                    "" => name.get_ref().to_string(),
                    parent => format!("{parent}.{}", name.get_ref()),
                };
                entries.push(Entry::new(path.clone(), name.span(), value));
                match value.get_ref() {
                    DeValue::Table(table) => tables.push((path, table)),
                    DeValue::Array(items) => {
                        for (number, item) in items.iter().enumerate() {
                            let path = format!("{path}[{number}]");
                            entries.push(Entry::new(path.clone(), item.span(), item));
                            if let DeValue::Table(table) = item.get_ref() {
                                tables.push((path, table));
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        entries
    }

    fn fault_at(&self, span: &Range<usize>, key: Option<String>, message: String) -> Fault {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line = before.matches('\n').count();
        let start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let column = before.get(start..).unwrap_or_default().chars().count();
        let shown = self.text.lines().nth(line).unwrap_or_default();
        let rest = shown.chars().count().saturating_sub(column);
        let marked = self.text.get(span.clone()).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().chars().count();
        let (line, column) = (line.saturating_add(1), column.saturating_add(1));
        let gutter = line.to_string().len();
        // A secret is not shown, nor is what could move the cursor.
        let secret = key.as_deref().is_some_and(|key| key.contains("token"));
        let fits = !secret && shown.chars().count() <= WIDTH && !shown.contains(char::is_control);
        let shown = fits.then(|| {
            format!(
                "  {line} | {shown}\n  {:gutter$} | {:indent$}{:^<carets$}",
                "",
                "",
                "",
                indent = column.saturating_sub(1),
                carets = width.clamp(1, rest.max(1)),
            )
        });
        Fault {
            place: Some(format!("{}:{line}:{column}", self.path.display())),
            key,
            message,
            shown,
        }
    }
}

/// A key, and where it stands.
struct Entry {
    path: String,
    name: Range<usize>,
    value: Range<usize>,
}

impl Entry {
    fn new(path: String, name: Range<usize>, value: &Spanned<DeValue<'_>>) -> Self {
        Self {
            path,
            name,
            value: value.span(),
        }
    }
}

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// `FILE:LINE:COLUMN`, or the flag.
    place: Option<String>,
    key: Option<String>,
    message: String,
    /// The line, with a mark below.
    shown: Option<String>,
}

impl Fault {
    /// A fault of a flag.
    pub(crate) fn of_flag(flag: impl Into<String>, message: impl fmt::Display) -> Self {
        Self {
            place: Some(flag.into()),
            key: None,
            message: message.to_string(),
            shown: None,
        }
    }

    /// A fault at a key that neither a file nor a flag has set.
    pub(crate) fn of_key(key: &str, message: impl fmt::Display) -> Self {
        Self {
            place: None,
            key: Some(key.to_owned()),
            message: message.to_string(),
            shown: None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.place, &self.key].into_iter().flatten() {
            write!(f, "{part}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(shown) = &self.shown {
            write!(f, "\n{shown}")?;
        }
        Ok(())
    }
}

/// What `serde` says of an unknown name, with the name that was probably meant.
pub(crate) fn in_plain_words(message: &str) -> String {
    let (what, rest) = match (
        message.strip_prefix("unknown field `"),
        message.strip_prefix("unknown variant `"),
    ) {
        (Some(rest), _) => ("key", rest),
        (_, Some(rest)) => ("word", rest),
        _ => {
            let message = message.trim_end().replace('\n', ", ");
            return message.replace("expected a sequence", "expected a list");
        }
    };
    let Some((name, rest)) = rest.split_once('`') else {
        return message.to_owned();
    };
    // ", expected one of `a`, `b`": every second part is a name.
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let nearest = known
        .iter()
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .filter(|(distance, other)| *distance <= 3 && distance.saturating_mul(2) <= other.len())
        .min();
    let known = known.join(", ");
    let name = name.escape_debug();
    match nearest {
        Some((_, other)) => {
            format!("there is no {what} {name} here; did you mean {other}? There are {known}")
        }
        None => format!("there is no {what} {name} here: there are {known}"),
    }
}

/// How long a line may be to be shown.
const WIDTH: usize = 120;
