// Closes whole channels, without holding up the loop.
import type { Channel } from '../pubsub/channel.js';
import type { Hub } from '../pubsub/hub.js';
import type { Subscription } from '../pubsub/subscription.js';
import { closesPerTick } from './closing.js';

// Fewer than closesPerTick, if there is much to be sent before the close frames.
const closeMsMax = 10;

/**
 * Gives a function that closes a channel, and resolves when the channel has no subscriber any more. Each subscriber gets everything that
 * was published before, then a close frame. The channels are closed one after another, so that many together take no more of a tick
 * than one. `close` ends one subscription, or its peer, which has left the channel when that returns.
 */
export function channelCloser(hub: Hub, close: (subscription: Subscription) => void): (channel: Channel) => Promise<void> {
	const closing: Channel[] = [];

	function closeSome(): void {
		let closes = 0;
		const endMs = performance.now() + closeMsMax;
		while (closing[0] !== undefined && closes < closesPerTick && performance.now() < endMs) {
			const { newest } = closing[0];
			if (newest === undefined) {
				closing.shift();
			} else {
				closes++;
				close(newest);
			}
		}
		if (closing.length > 0) setImmediate(closeSome);
	}

	return (channel) =>
		new Promise((resolve) => {
			hub.close(channel, () => void (closing.push(channel) === 1 && setImmediate(closeSome)), resolve);
		});
}
