//! What stands before a form and changes its meaning: `#_`, `^`, tags, `##` and `#:`.

use alloc::borrow::Cow;

use crate::atom::{Atom, Fact};
use crate::class;
use crate::error::{Error, ErrorKind, Inside};
use crate::fingerprint::Group;
use crate::frame::Kind;
use crate::inst::Inst;
use crate::machine::{Done, Machine, Sink};
use crate::name;
use crate::shape::Shape;
use crate::text;
use crate::uuid::Uuid;

/// How many bytes the namespace of a map may have. Each key gets a copy of it, so that without a
/// bound a text would make keys of the square of its size.
const MAX_NAMESPACE: usize = 256;

impl<'a, S: Sink> Machine<'a, S> {
    /// Reads what a `#` begins, up to the form that follows; nothing is complete by that.
    pub(crate) fn dispatch(&mut self, start: usize) -> Result<Option<Done<'a, S::Item>>, Error> {
        match self.lexer.peek_at(1) {
            Some(b'{') => self.open(Kind::Set, 2),
            Some(b'_') => self.open(Kind::Discard, 2),
            Some(b'^') => self.open(Kind::Meta, 2),
            Some(b':') => self.open(Kind::Namespace, 2),
            Some(b'#') => self.open(Kind::Symbolic, 2),
            _ => self.tag(start),
        }
    }

    fn tag(&mut self, start: usize) -> Result<Option<Done<'a, S::Item>>, Error> {
        self.lexer.advance(1);
        let is_wide = self.limits.dialect.is_wide();
        if is_wide {
            self.lexer.skip_blank(self.limits.dialect);
        }
        let first = self.lexer.peek_char();
        let starts_tag = match first {
            None => return Err(self.lexer.end(Inside::Dispatch, start)),
            Some(first) if is_wide => first.is_alphabetic(),
            Some(first) => class::is_tag_start(first),
        };
        if !starts_tag {
            return Err(Error::new(ErrorKind::InvalidDispatch, start));
        }
        let name_start = self.lexer.pos();
        let tag = self.lexer.token(name_start)?;
        if name::reads_otherwise(tag) {
            if self.lexer.is_at_end() {
                return Err(self.lexer.end(Inside::Token, name_start));
            }
            return Err(Error::new(ErrorKind::InvalidTag, start));
        }
        if !name::is_symbol(tag, self.limits.dialect) {
            return Err(self.name_error(tag, name_start));
        }
        let opened = self.open_at(Kind::Tag, start);
        self.top.set_name(name_start, self.lexer.pos());
        opened
    }

    /// Gives a form to the `#_`, tag or other prefix before it; what they make together, if
    /// that is complete.
    pub(crate) fn settle_prefix(
        &mut self,
        done: Done<'a, S::Item>,
    ) -> Result<Option<Done<'a, S::Item>>, Error> {
        let (start, keyed) = (self.top.start(), self.top.keyed);
        let complete = match self.top.kind {
            Kind::Meta => {
                match done.fact {
                    Fact::Keyword(_) | Fact::Map | Fact::Str(_) | Fact::Symbol(_) => {}
                    _ => return Err(Error::new(ErrorKind::InvalidMetadata, done.start)),
                }
                self.sink.forget(done.item);
                self.top.kind = Kind::Target;
                return Ok(None);
            }
            Kind::Namespace => {
                match done.fact {
                    Fact::Symbol(namespace) if namespace.len() > MAX_NAMESPACE => {
                        let limit = MAX_NAMESPACE;
                        return Err(Error::new(ErrorKind::LongNamespace { limit }, done.start));
                    }
                    Fact::Symbol(namespace) if namespace == "/" || !namespace.contains('/') => {
                        self.sink.forget(done.item);
                        self.top.become_map_of(done.start, done.end);
                    }
                    _ => {
                        let kind = ErrorKind::InvalidNamespacedMap;
                        return Err(self.prefix_error(kind, start, done.shape));
                    }
                }
                return match self.lexer.skip_whitespace() {
                    Some(b'{') => {
                        self.lexer.advance(1);
                        Ok(None)
                    }
                    Some(_) => Err(Error::new(ErrorKind::InvalidNamespacedMap, start)),
                    None => Err(self.lexer.end(Inside::NamespacedMap, start)),
                };
            }
            Kind::Target => {
                if !matches!(done.fact, Fact::Collection | Fact::Map | Fact::Symbol(_)) {
                    let kind = ErrorKind::InvalidMetadataTarget;
                    return Err(self.prefix_error(kind, done.start, done.shape));
                }
                done
            }
            Kind::Symbolic => {
                let value = match done.fact {
                    Fact::Symbol("Inf") => f64::INFINITY,
                    Fact::Symbol("-Inf") => f64::NEG_INFINITY,
                    Fact::Symbol("NaN") => f64::NAN,
                    Fact::Symbol("I" | "In" | "-" | "-I" | "-In" | "N" | "Na")
                        if self.lexer.is_at_end() =>
                    {
                        return Err(self.lexer.end(Inside::Symbolic, start));
                    }
                    _ => return Err(Error::new(ErrorKind::InvalidSymbolic, start)),
                };
                self.sink.forget(done.item);
                self.finish_atom(Atom::Float(value), start, keyed)
            }
            Kind::Tag => match self.top.name(&self.lexer) {
                "inst" => {
                    let inst = string(done.fact).and_then(|text| Inst::parse(&text).ok());
                    let inst = inst.ok_or_else(|| Error::new(ErrorKind::InvalidInst, start))?;
                    return Ok(self.built_in(Atom::Inst(inst), done));
                }
                "uuid" => {
                    let uuid = string(done.fact).and_then(|text| Uuid::parse(&text).ok());
                    let uuid = uuid.ok_or_else(|| Error::new(ErrorKind::InvalidUuid, start))?;
                    return Ok(self.built_in(Atom::Uuid(uuid), done));
                }
                tag => return Ok(self.tagged(tag, done)),
            },
            // A form to discard; the others do not get here.
            _ => {
                self.sink.forget(done.item);
                self.leave();
                self.open.pop();
                return Ok(None);
            }
        };
        self.leave();
        self.open.pop();
        Ok(Some(complete))
    }

    /// What `#inst` or `#uuid` makes of its string.
    fn built_in(&mut self, atom: Atom<'a>, string: Done<'a, S::Item>) -> Option<Done<'a, S::Item>> {
        let (start, keyed) = (self.top.start(), self.top.keyed);
        self.leave();
        let open = self.open.pop()?;
        Some(Done {
            item: self
                .sink
                .built_in(open, string.item, atom, start, string.end),
            fact: atom.fact(),
            shape: atom.shape(),
            start,
            end: string.end,
            fingerprint: if keyed { atom.fingerprint() } else { 0 },
        })
    }

    /// What any other tag makes of its form.
    fn tagged(&mut self, tag: &str, done: Done<'a, S::Item>) -> Option<Done<'a, S::Item>> {
        let (start, keyed) = (self.top.start(), self.top.keyed);
        let fingerprint = if keyed {
            let mut group = Group::tagged(tag);
            group.push_item(done.fingerprint);
            group.finish(1)
        } else {
            0
        };
        let name = (tag, self.top.name_start());
        self.leave();
        let open = self.open.pop()?;
        Some(Done {
            item: self.sink.tagged(name, open, done.item, done.end),
            fact: Fact::Other,
            shape: Shape::Tagged,
            start,
            end: done.end,
            fingerprint,
        })
    }

    /// Why a form must not follow a prefix, unless the text ends where `nil` may become a symbol.
    #[cold]
    fn prefix_error(&self, kind: ErrorKind, offset: usize, shape: Shape) -> Error {
        if matches!(shape, Shape::Nil | Shape::Bool) && self.lexer.is_at_end() {
            return self.lexer.end(Inside::Token, offset);
        }
        Error::new(kind, offset)
    }

    /// Gives a key the namespace of its map.
    pub(crate) fn rename(
        &mut self,
        namespace: &str,
        done: Done<'a, S::Item>,
    ) -> Result<Done<'a, S::Item>, Error> {
        let (Fact::Keyword(key) | Fact::Symbol(key)) = done.fact else {
            return Ok(done);
        };
        let Some(text) = name::in_namespace(namespace, key) else {
            return Ok(done);
        };
        let (atom, readable) = if matches!(done.fact, Fact::Keyword(_)) {
            (
                Atom::Keyword(&text),
                name::is_readable_keyword(&text, self.limits.dialect),
            )
        } else {
            (
                Atom::Symbol(&text),
                name::is_readable_symbol(&text, self.limits.dialect),
            )
        };
        if !readable {
            return Err(Error::new(ErrorKind::UnreadableKey, done.start));
        }
        Ok(Done {
            item: self.sink.renamed(done.item, atom, done.start, done.end),
            fingerprint: atom.fingerprint(),
            ..done
        })
    }
}

/// What a string says; `None` for other forms.
fn string(fact: Fact<'_>) -> Option<Cow<'_, str>> {
    match fact {
        Fact::Str(raw) => Some(text::unescape(raw)),
        _ => None,
    }
}
