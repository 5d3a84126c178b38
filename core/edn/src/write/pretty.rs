//! The text broken into lines and aligned, as `clojure.pprint` does it.
//!
//! What `clojure.pprint` decides by buffering, this decides by measuring first. Its rule, as it
//! comes out for data: a block breaks at all its places or at none. It breaks if what follows its
//! first place, up to the next place that belongs to a block around it, ends beyond the margin; or
//! if something before that place was broken. A map is a block, and so is each of its entries. What
//! is behind a tag stays on one line.

use alloc::vec::Vec;

use super::compact::Kind;
use super::out::{Count, Out};
use super::tree::Tree;

/// How far beyond the margin lines may begin. Text that begins there does not fit anyway, and a
/// value that nests deep must not make text that grows with the square of its depth.
pub(crate) const FARTHEST: usize = 128;

/// Writes a value on lines that, where that can be, are no longer than the margin.
///
/// Takes linear time. Without a margin that can be reached, this is the text on one line.
pub(crate) fn pretty<T: Tree, O: Out>(
    tree: &T,
    root: &T::Node,
    margin: usize,
    out: &mut O,
) -> Result<(), O::Error> {
    let widths = widths(tree, root);
    let mut page = Page {
        out,
        margin,
        column: 0,
        position: 0,
        broken: 0,
        tags: 0,
    };
    let end = widths.first().copied().unwrap_or_default();
    let mut widths = widths.into_iter();
    let mut open: Vec<Open<'_, T::Node>> = Vec::new();
    open.extend(page.item(tree, root, widths.next(), end, 1)?);
    while let Some(top) = open.last_mut() {
        let Some((item, rest)) = top.rest.split_first() else {
            let (kind, depth) = (top.kind, top.depth);
            open.pop();
            page.push(kind.end())?;
            page.tags = page.tags.saturating_sub(usize::from(kind == Kind::Bare));
            // The block is gone, what is around it stays broken.
            page.broken = page.broken.min(depth.saturating_sub(1));
            continue;
        };
        let is_first = top.rest.len() == top.count;
        top.rest = rest;
        let width = widths.next();
        let (end, depth) = if top.kind != Kind::Map {
            if !is_first {
                page.place(top.end, top.depth, top.indent)?;
            }
            let end = if rest.is_empty() {
                top.end
            } else {
                page.end_of(width, 1)
            };
            (end, top.depth.saturating_add(1))
        } else {
            let entry_depth = top.depth.saturating_add(1);
            let end = if rest.len().is_multiple_of(2) {
                page.position = page.position.saturating_add(1);
                let end = if rest.is_empty() {
                    top.end
                } else {
                    page.end_of(width, 2)
                };
                page.position = page.position.saturating_sub(1);
                page.place(end, entry_depth, top.entry_indent)?;
                end
            } else {
                if !is_first {
                    page.push(",")?;
                    page.place(top.end, top.depth, top.indent)?;
                }
                page.broken = page.broken.min(top.depth);
                top.entry_indent = page.indent();
                page.end_of(width, 1)
            };
            (end, entry_depth.saturating_add(1))
        };
        open.extend(page.item(tree, item, width, end, depth)?);
    }
    Ok(())
}

/// A collection of which some items have been written.
struct Open<'t, N> {
    rest: &'t [N],
    count: usize,
    kind: Kind,
    /// How many blocks there are around its items.
    depth: usize,
    /// Where its lines begin.
    indent: usize,
    /// Where the lines of the current entry of a map begin.
    entry_indent: usize,
    /// Where, on one line, the next place is that belongs to a block around it.
    end: usize,
}

/// What has been written.
struct Page<'o, O> {
    out: &'o mut O,
    margin: usize,
    /// How long the last line is.
    column: usize,
    /// How long the text would be on one line.
    position: usize,
    /// How many of the open blocks, counted from outside, are broken.
    broken: usize,
    /// How many tags are open.
    tags: usize,
}

impl<O: Out> Page<'_, O> {
    fn push(&mut self, text: &str) -> Result<(), O::Error> {
        self.advance(text.len());
        self.out.push_str(text)
    }

    fn advance(&mut self, width: usize) {
        self.column = self.column.saturating_add(width);
        self.position = self.position.saturating_add(width);
    }

    fn indent(&self) -> usize {
        self.column.min(self.margin.saturating_add(FARTHEST))
    }

    /// Where, on one line, what comes next ends and the place after it is.
    fn end_of(&self, width: Option<usize>, separator: usize) -> usize {
        self.position
            .saturating_add(width.unwrap_or_default())
            .saturating_add(separator)
    }

    /// Writes a line break, or a space.
    fn place(&mut self, end: usize, depth: usize, indent: usize) -> Result<(), O::Error> {
        self.position = self.position.saturating_add(1);
        let last = self
            .column
            .saturating_add(end.saturating_sub(self.position));
        if self.tags > 0 || self.broken < depth && last < self.margin {
            self.column = self.column.saturating_add(1);
            return self.out.push_byte(b' ');
        }
        self.broken = depth.max(self.broken);
        self.column = indent;
        self.out.push_byte(b'\n')?;
        let mut missing = indent;
        while missing > 0 {
            const BLANKS: &[u8] = &[b' '; 64];
            let blanks = BLANKS.get(..missing).unwrap_or(BLANKS);
            self.out.push_ascii(blanks)?;
            missing = missing.saturating_sub(blanks.len());
        }
        Ok(())
    }

    /// Writes an atom, or what comes before the items of a collection.
    fn item<'t, T: Tree>(
        &mut self,
        tree: &'t T,
        item: &'t T::Node,
        width: Option<usize>,
        end: usize,
        depth: usize,
    ) -> Result<Option<Open<'t, T::Node>>, O::Error> {
        let Some(kind) = T::kind(item) else {
            self.advance(width.unwrap_or_default());
            T::atom(item, self.out)?;
            return Ok(None);
        };
        if let Some(tag) = T::tag(item) {
            self.tags = self.tags.saturating_add(1);
            self.advance(tag_width(tag));
            push_tag(tag, self.out)?;
        }
        self.push(kind.start())?;
        let rest = tree.children(item);
        Ok(Some(Open {
            rest,
            count: rest.len(),
            kind,
            depth,
            indent: self.indent(),
            entry_indent: 0,
            end,
        }))
    }
}

fn push_tag<O: Out>(tag: &str, out: &mut O) -> Result<(), O::Error> {
    out.push_byte(b'#')?;
    out.push_str(tag)?;
    out.push_byte(b' ')
}

fn tag_width(tag: &str) -> usize {
    let mut width = Count::default();
    let Ok(()) = push_tag(tag, &mut width);
    width.units()
}

/// How wide each value is on one line, parents before their children.
fn widths<T: Tree>(tree: &T, root: &T::Node) -> Vec<usize> {
    struct Inside<'t, N> {
        index: usize,
        start: usize,
        kind: Kind,
        rest: &'t [N],
        is_new: bool,
    }
    let mut widths = Vec::new();
    let mut total = Count::default();
    let mut open: Vec<Inside<'_, T::Node>> = Vec::new();
    let mut next = Some(root);
    loop {
        if let Some(item) = next.take() {
            let (index, start) = (widths.len(), total.units());
            if let Some(kind) = T::kind(item) {
                if let Some(tag) = T::tag(item) {
                    let Ok(()) = push_tag(tag, &mut total);
                }
                let Ok(()) = total.push_str(kind.start());
                let rest = tree.children(item);
                widths.push(0);
                open.push(Inside {
                    index,
                    start,
                    kind,
                    rest,
                    is_new: true,
                });
            } else {
                let Ok(()) = T::atom(item, &mut total);
                widths.push(total.units().saturating_sub(start));
            }
        }
        let Some(inside) = open.last_mut() else {
            return widths;
        };
        if let Some((item, rest)) = inside.rest.split_first() {
            let separator = match inside.kind {
                _ if inside.is_new => "",
                Kind::Map if !rest.len().is_multiple_of(2) => ", ",
                _ => " ",
            };
            let Ok(()) = total.push_str(separator);
            inside.is_new = false;
            inside.rest = rest;
            next = Some(item);
        } else {
            let Ok(()) = total.push_str(inside.kind.end());
            if let Some(width) = widths.get_mut(inside.index) {
                *width = total.units().saturating_sub(inside.start);
            }
            open.pop();
        }
    }
}
