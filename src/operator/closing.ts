// Closes a channel or a session by its name: here, and on all servers that share it.
import type { CloseChannel } from '../connections/channel-closing.js';
import { relayRefusals } from '../http/refusals.js';
import type { Refused } from '../http/reply.js';
import type { Channel } from '../pubsub/channel.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import type { Hub } from '../pubsub/hub.js';
import type { OrderFailure, Published, SharedOrder } from '../pubsub/order.js';

/** How many subscribers are closed here; and on how many servers there may be more, with a relay. */
export type Closed = { readonly closed: number; readonly nodes: number | undefined };

/** Takes the name in this turn, without a relay. Resolves when the channel has no subscriber here any more. */
export type CloseByName = (name: ChannelName) => Promise<Closed | Refused>;

/** `closingOf` is the closing of a channel that the relay has brought. */
export function closerByName(
	hub: Hub,
	closeChannel: CloseChannel,
	order: SharedOrder | undefined,
	closingOf: (channel: Channel) => Promise<void> | undefined,
): CloseByName {
	return async (name) => {
		const channel = hub.find(name);
		const closed = channel?.subscribers ?? 0;
		if (order === undefined) {
			if (channel !== undefined) await closeChannel(channel);
			return { closed, nodes: undefined };
		}
		const result = await new Promise<Published | OrderFailure>((resolve) => {
			const failure = order.close(name, resolve);
			if (failure !== undefined) resolve(failure);
		});
		if (typeof result === 'string') return relayRefusals[result];
		await new Promise<void>((resolve) => order.whenBack([name], resolve));
		await (channel && closingOf(channel));
		return { closed, nodes: result.nodes };
	};
}
