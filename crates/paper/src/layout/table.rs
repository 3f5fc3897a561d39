//! Tables: columns with titles on each page, rows that go on where a page ends, and rows to be filled in by hand.

use super::{BOTTOM, Belongs, CELL_GAP, LEADING, LEFT, Mark, Part, RIGHT, Setter, WIDTH, bounded};
use crate::{COLUMNS_MAX, Column, Grid, GridRow, PaperError, Table};

impl From<&Table> for Grid {
    fn from(table: &Table) -> Self {
        let columns =
            table.columns.iter().map(|(title, share)| Column { title: title.clone(), share: *share, bold: false });
        let rows = table.rows.iter().map(|cells| GridRow { cells: cells.clone(), ..GridRow::default() });
        Self { columns: columns.collect(), rows: rows.collect(), boxed: false }
    }
}

/// A column on the page.
#[derive(Clone, Copy)]
struct Place {
    x: f32,
    width: f32,
    bold: bool,
}

/// How many rows that somebody writes into stand together at least: fewer at the end of a page would be overlooked.
const TOGETHER: usize = 4;

/// How high the first rows of a grid are that stand on one page, by the heights that they ask for.
pub(super) fn together(grid: &Grid) -> f32 {
    grid.rows.iter().take(TOGETHER).map(|row| f32::from(row.height)).sum()
}

impl Setter<'_> {
    pub(super) fn grid(&mut self, grid: &Grid) -> Result<(), PaperError> {
        let columns = grid.columns.len();
        if columns == 0 || columns > COLUMNS_MAX || grid.rows.iter().any(|row| row.cells.len() != columns) {
            return Err(PaperError::Table);
        }
        let shares: f32 = grid.columns.iter().map(|column| f32::from(column.share.max(1))).sum();
        let mut x = LEFT;
        let places: Vec<Place> = (grid.columns.iter())
            .map(|column| {
                let (at, width) = (x, WIDTH * f32::from(column.share.max(1)) / shares);
                x += width;
                let inset = if grid.boxed { CELL_GAP } else { 0.0 };
                Place { x: at + inset, width: width - 2.0 * CELL_GAP, bold: column.bold }
            })
            .collect();
        let size = self.sizes.cell;
        let cell = |text: &str, bold: bool, width: f32| {
            self.fonts.lines(&self.fonts.printable(bounded(text)), bold, width / size)
        };
        let titles: Vec<Vec<String>> =
            grid.columns.iter().zip(&places).map(|(column, place)| cell(&column.title, true, place.width)).collect();
        let node = self.node(Part::Table, None);
        let head = self.node(Part::Head, Some(node));
        let row = self.node(Part::Row, Some(head));
        let nodes: Vec<usize> = titles.iter().map(|_| self.node(Part::HeadCell, Some(row))).collect();
        // With one row at least, and some of those that are written into.
        self.room(self.height_of(&titles) + together(grid).max(3.0 * size * LEADING))?;
        self.titles(&titles, &places, Some(&nodes), grid.boxed);
        let body = self.node(Part::Body, Some(node));
        for row in &grid.rows {
            let lines: Vec<Vec<String>> = (row.cells.iter().zip(&places))
                .map(|(text, place)| {
                    self.fonts.lines(&self.fonts.printable(bounded(text)), place.bold, place.width / size)
                })
                .collect();
            let node = self.node(Part::Row, Some(body));
            let nodes: Vec<usize> = lines.iter().map(|_| self.node(Part::Cell, Some(node))).collect();
            self.row(row, &lines, &Columns { places: &places, nodes: &nodes, titles: &titles, boxed: grid.boxed })?;
        }
        self.y += 8.0;
        Ok(())
    }

    /// What the columns are called: a part of the table where it begins, and of the page's frame where it goes on.
    fn titles(&mut self, titles: &[Vec<String>], places: &[Place], nodes: Option<&[usize]>, boxed: bool) {
        let (most, size, top) = (titles.iter().map(Vec::len).max().unwrap_or(0), self.sizes.cell, self.y);
        for (column, (lines, place)) in titles.iter().zip(places).enumerate() {
            let node = nodes.and_then(|nodes| nodes.get(column));
            let belongs = node.map_or(Belongs::Frame, |node| Belongs::Node(*node));
            let mut y = self.y + CELL_GAP + size;
            for text in lines {
                self.mark(Mark::Text { x: place.x, y, size, bold: true, text: text.clone(), belongs });
                y += size * LEADING;
            }
        }
        self.y += self.height(most);
        self.mark(Mark::Rule { y: self.y, weight: 0.9 });
        if boxed {
            self.mark(Mark::Rule { y: top, weight: 0.9 });
            self.sides(places, top);
        }
    }

    /// Lines between the columns, from `top` to where the page is full.
    fn sides(&mut self, places: &[Place], top: f32) {
        let bottom = self.y;
        let at = places.iter().map(|place| place.x - CELL_GAP).chain([RIGHT]);
        for x in at.collect::<Vec<f32>>() {
            self.mark(Mark::Line { from: (x, top), to: (x, bottom), weight: 0.5 });
        }
    }

    /// A row. One that has more lines than a page has goes on on the next.
    fn row(&mut self, row: &GridRow, cells: &[Vec<String>], columns: &Columns<'_>) -> Result<(), PaperError> {
        let size = self.sizes.cell;
        let most = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let mut first = 0;
        let mut fresh = false;
        while first < most {
            let left = most - first;
            let needed = self.height(left).max(f32::from(row.height));
            let whole = self.y + needed <= BOTTOM;
            if !whole && !fresh {
                self.new_page()?;
                self.titles(columns.titles, columns.places, None, columns.boxed);
                fresh = true;
                continue;
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "some dozens of lines are on a page"
            )]
            let fit = ((BOTTOM - self.y - 2.0 * CELL_GAP) / (size * LEADING)).floor().max(1.0) as usize;
            let taken = left.min(if whole { left } else { fit });
            let top = self.y;
            for (column, ((lines, place), node)) in cells.iter().zip(columns.places).zip(columns.nodes).enumerate() {
                let mut y = self.y + CELL_GAP + size;
                for text in lines.iter().skip(first).take(taken) {
                    let (text, belongs, bold) = (text.clone(), Belongs::Node(*node), place.bold);
                    self.mark(Mark::Text { x: place.x, y, size, bold, text, belongs });
                    y += size * LEADING;
                }
                // The last column says on which page: known when all pages are.
                if let Some(chapter) = row.page_of.filter(|_| first == 0 && column + 1 == cells.len()) {
                    let (y, belongs) = (self.y + CELL_GAP + size, Belongs::Node(*node));
                    let page = self.laid.pages.len().saturating_sub(1);
                    let mark = self.laid.pages.last().map_or(0, |page| page.marks.len());
                    self.laid.numbers.push((page, mark, chapter));
                    self.mark(Mark::Text { x: place.x, y, size, bold: true, text: String::new(), belongs });
                }
            }
            self.y += if whole { needed } else { self.height(taken) };
            self.mark(Mark::Rule { y: self.y, weight: 0.25 });
            if columns.boxed {
                self.sides(columns.places, top);
            }
            first += taken;
            fresh = false;
        }
        Ok(())
    }

    /// Height of a row of so many lines.
    #[expect(clippy::cast_precision_loss, reason = "some thousands of lines at most")]
    fn height(&self, lines: usize) -> f32 {
        lines as f32 * self.sizes.cell * LEADING + 2.0 * CELL_GAP
    }

    fn height_of(&self, cells: &[Vec<String>]) -> f32 {
        self.height(cells.iter().map(Vec::len).max().unwrap_or(0))
    }
}

/// The columns of a table that is being set.
struct Columns<'a> {
    places: &'a [Place],
    nodes: &'a [usize],
    titles: &'a [Vec<String>],
    boxed: bool,
}
