// Publishes for an operator's request.
import type { Publisher } from '../http/publisher.js';
import type { Refused } from '../http/reply.js';
import type { ChannelName } from '../pubsub/channel-name.js';
import type { Message } from '../pubsub/message.js';
import type { Published } from '../pubsub/order.js';

/** Publishes in this turn. With a relay the result comes later. */
export function publishedBy(
	publisher: Publisher,
	name: ChannelName,
	message: Message,
	head: { readonly ifMatch: string | undefined },
): Published | Refused | Promise<Published | Refused> {
	let tell: (result: Published | Refused) => void = () => {};
	const later = new Promise<Published | Refused>((resolve) => {
		tell = resolve;
	});
	return publisher.publish(name, message, head, tell) ?? later;
}
