//! Priorities after a handler is moved within its chain.

/// The highest priority there is.
const LAST: u32 = 65_535;
/// The room that is left between two handlers where there is any to give.
const STEP: u32 = 10;

/// A handler's place in its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: i64,
    pub(super) priority: u32,
}

/// The handlers whose priorities change so that `moved` runs right before `before`, or last, where that is `None`. `chain` is the whole chain
/// in its order. Others are moved only where there is no room between them: then those after it make way.
///
/// `None` when there is no such handler, or no priority is left.
pub(super) fn moved(chain: &[Place], moved: i64, before: Option<i64>) -> Option<Vec<Place>> {
    let own = chain.iter().find(|place| place.id == moved)?;
    let rest: Vec<Place> = chain.iter().copied().filter(|place| place.id != moved).collect();
    let at = match before {
        Some(before) => rest.iter().position(|place| place.id == before)?,
        None => rest.len(),
    };
    let (earlier, later) = rest.split_at(at);
    let low = earlier.last().map_or(0, |place| place.priority);
    let Some(next) = later.first() else {
        // Already behind all others: it stays.
        let priority = if own.priority > low { own.priority } else { (low + STEP).min(LAST) };
        return (priority > low).then(|| differing(chain, &[Place { id: moved, priority }]));
    };
    let priority = if low < own.priority && own.priority < next.priority { own.priority } else { between(low, next.priority) };
    let mut changed = vec![Place { id: moved, priority }];
    // Who has no room any more goes on by what is missing; a stage stays one stage.
    let (mut floor, mut stage) = (priority, None);
    for place in later {
        let priority = match stage {
            Some((old, new)) if old == place.priority => new,
            _ => place.priority.max(floor + 1),
        };
        if priority > LAST {
            return None;
        }
        stage = Some((place.priority, priority));
        floor = priority;
        changed.push(Place { id: place.id, priority });
    }
    Some(differing(chain, &changed))
}

/// Which handler `id` is to run before, so that it runs right after `after`: the one behind that, or none. `None` when `after` is not there.
pub(super) fn behind(chain: &[Place], id: i64, after: i64) -> Option<Option<i64>> {
    let mut rest = chain.iter().filter(|place| place.id != id).skip_while(|place| place.id != after);
    rest.next()?;
    Some(rest.next().map(|place| place.id))
}

/// A number between two, in the middle; right behind the lower one where there is none.
fn between(low: u32, high: u32) -> u32 {
    if high > low + 1 { low + (high - low) / 2 } else { low + 1 }
}

fn differing(chain: &[Place], changed: &[Place]) -> Vec<Place> {
    changed.iter().copied().filter(|place| !chain.contains(place)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(priorities: &[u32]) -> Vec<Place> {
        priorities.iter().zip(1..).map(|(priority, id)| Place { id, priority: *priority }).collect()
    }

    fn result(priorities: &[u32], id: i64, before: Option<i64>) -> Option<Vec<(i64, u32)>> {
        Some(moved(&chain(priorities), id, before)?.into_iter().map(|place| (place.id, place.priority)).collect())
    }

    #[test]
    fn a_handler_takes_the_middle_of_a_gap() {
        assert_eq!(result(&[10, 20, 30], 3, Some(2)), Some(vec![(3, 15)]));
        assert_eq!(result(&[10, 20, 30], 3, Some(1)), Some(vec![(3, 5)]));
        assert_eq!(result(&[10, 20, 30], 1, None), Some(vec![(1, 40)]));
        assert_eq!(result(&[10, 20, 30], 1, Some(3)), Some(vec![(1, 25)]));
    }

    #[test]
    fn nothing_changes_where_it_stands_there_already() {
        assert_eq!(result(&[10, 20, 30], 2, Some(3)), Some(vec![]));
        assert_eq!(result(&[10, 20, 30], 3, None), Some(vec![]));
        assert_eq!(result(&[100], 1, None), Some(vec![]));
    }

    #[test]
    fn those_without_room_make_way_and_stages_stay_together() {
        assert_eq!(result(&[1, 2, 3], 3, Some(1)), Some(vec![(3, 1), (1, 2), (2, 3)]));
        assert_eq!(result(&[1, 1, 9], 3, Some(1)), Some(vec![(3, 1), (1, 2), (2, 2)]));
        assert_eq!(result(&[5, 6, 7, 50], 4, Some(2)), Some(vec![(4, 6), (2, 7), (3, 8)]));
        // In the middle of a stage: what follows of it comes after.
        assert_eq!(result(&[100, 100, 100], 3, Some(2)), Some(vec![(3, 101), (2, 102)]));
    }

    #[test]
    fn behind_one_is_before_the_next() {
        let chain = chain(&[1, 2, 3]);
        assert_eq!(behind(&chain, 1, 2), Some(Some(3)));
        assert_eq!(behind(&chain, 2, 1), Some(Some(3)));
        assert_eq!(behind(&chain, 1, 3), Some(None));
        assert_eq!(behind(&chain, 1, 9), None);
    }

    #[test]
    fn there_is_an_end_to_numbers() {
        assert_eq!(result(&[65_534, 65_535, 1], 3, Some(2)), None);
        assert_eq!(result(&[65_535, 1], 2, None), None);
        assert_eq!(result(&[1, 2], 9, None), None);
        assert_eq!(result(&[1, 2], 1, Some(9)), None);
    }
}
