"""The controller's lease."""

from __future__ import annotations

from besom.broker.connection import Connection
from besom.broker.lead import Lead, read_leader
from tests.broker.clock import Clock


def _lead(connection: Connection, name: str = "a", seconds: float = 5.0) -> Lead:
    return Lead(connection, seconds, {"name": name})


def test_the_first_to_ask_leads(fake: Connection, clock: Clock) -> None:
    """One holds, with epoch 1; another is refused and has no epoch."""
    one, two = _lead(fake), _lead(fake, "b")
    assert one.hold()
    assert not two.hold()
    assert (one.epoch, two.epoch) == (1, 0)


def test_a_lease_that_is_renewed_goes_on(fake: Connection, clock: Clock) -> None:
    """Renewed in time, it lasts beyond its length and keeps its epoch."""
    one, two = _lead(fake), _lead(fake, "b")
    for _ in range(5):
        assert one.hold()
        assert not two.hold()
        clock.move(4)
    assert one.epoch == 1


def test_another_takes_over_after_the_end(fake: Connection, clock: Clock) -> None:
    """A lease that ran out goes to who asks, with the next epoch, and the first is refused."""
    one, two = _lead(fake), _lead(fake, "b")
    one.hold()
    clock.move(5.001)
    assert two.hold()
    assert two.epoch == 2
    assert not one.hold()
    assert one.epoch == 0


def test_the_epoch_grows_with_every_change_of_hands(fake: Connection, clock: Clock) -> None:
    """No epoch is given twice, whoever takes turns."""
    leads = [_lead(fake, "a"), _lead(fake, "b")]
    epochs = []
    for i in range(6):
        assert leads[i % 2].hold()
        epochs.append(leads[i % 2].epoch)
        clock.move(6)
    assert epochs == [1, 2, 3, 4, 5, 6]


def test_who_comes_back_before_another_keeps_the_epoch(fake: Connection, clock: Clock) -> None:
    """A lease that ran out unnoticed is renewed: nobody else could have changed anything."""
    one = _lead(fake)
    one.hold()
    clock.move(60)
    assert one.hold()
    assert one.epoch == 1


def test_the_epoch_is_above_the_stores(fake: Connection, clock: Clock) -> None:
    """A Redis that lost everything gives no epoch that the store would refuse."""
    one = _lead(fake)
    assert one.hold(known=7)
    assert one.epoch > 7


def test_a_holder_rises_above_the_store_too(fake: Connection, clock: Clock) -> None:
    """Even who holds the lease gets a new epoch when the store has seen a later one."""
    one = _lead(fake)
    one.hold()
    assert one.hold(known=4)
    assert one.epoch > 4
    before = one.epoch
    assert one.hold(known=before)
    assert one.epoch == before


def test_a_redis_that_forgot_a_renewal_gives_the_next_epoch(fake: Connection, clock: Clock) -> None:
    """An older file put back, or a replica that lagged: the same holder gets a new epoch, so that it looks around."""
    one = _lead(fake)
    one.hold()
    older = fake.redis.hgetall(fake.keys.controller())
    one.hold()
    assert one.epoch == 1
    fake.redis.hset(fake.keys.controller(), mapping=older)
    assert one.hold()
    assert (one.epoch, one.forgotten) == (2, True)
    one.forgotten = False
    assert one.hold()
    assert (one.epoch, one.forgotten) == (2, False)


def test_who_leaves_makes_room_at_once(fake: Connection, clock: Clock) -> None:
    """After `leave` a stand-by takes over with no wait, in a new epoch."""
    one, two = _lead(fake), _lead(fake, "b")
    one.hold()
    one.leave()
    assert one.epoch == 0
    assert two.hold()
    assert two.epoch == 2


def test_who_does_not_lead_cannot_end_a_lease(fake: Connection, clock: Clock) -> None:
    """`leave` by another changes nothing for the holder."""
    one, two = _lead(fake), _lead(fake, "b")
    one.hold()
    two.leave()
    assert not two.hold()
    assert one.hold()


def test_namespaces_have_a_controller_each(fake: Connection, clock: Clock) -> None:
    """A lease in one namespace is none in another."""
    other = Connection("redis://fake", "other", client=fake.redis)
    assert _lead(fake).hold()
    assert _lead(other, "b").hold()


def test_all_may_read_who_leads(fake: Connection, clock: Clock) -> None:
    """Epoch, life and info are there for anybody, before, during and after a lease."""
    leader = read_leader(fake)
    assert (leader.epoch, leader.alive, leader.info) == (0, False, {})
    one = _lead(fake)
    one.hold()
    leader = read_leader(fake)
    assert (leader.epoch, leader.alive, leader.info) == (1, True, {"name": "a"})
    clock.move(5.001)
    leader = read_leader(fake)
    assert (leader.epoch, leader.alive) == (1, False)
