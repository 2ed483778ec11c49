// Which commands interrupt the customer or lose something, by their names. Pure.

const harmful = /(Reboot|Reset|Shutdown|Terminate|Uninstall|Activate|Download|Delete|Remove|SetRunMode|Disconnect)\w*\(\)$/;
/** Commands that only set counters to zero. */
const counters = /\.Stats\.Reset\(\)$|StatsReset\(\)$/;

/** Whether to ask before this command is run. */
export const isHarmful = (command: string) => harmful.test(command) && !counters.test(command);

/** Whether it loses the configuration of the customer: to be typed, not only clicked. */
export const losesEverything = (command: string) => /FactoryReset\(\)$/.test(command);
