// Ctrl K: everything one can do or go to from here, and every device, by typing a few letters.
import { useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useId, useState } from 'react';
import { useSession } from '~/api/session';
import { Modal } from '~/components/mantine/modal';
import { t } from '~/text';
import { useFind, usePageActions, type Found } from './finder';
import { FoundList, foundKeys } from './found-list';
import { places } from './rail';
import { matches } from './match';
import classes from './found-list.module.css';

export function Palette({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const session = useSession();
  const list = useId();
  const [text, setText] = useState('');
  const [active, setActive] = useState(0);
  const { found, settled } = useFind(text);
  const page = usePageActions();
  const { setColorScheme } = useMantineColorScheme();
  const colorScheme = useComputedColorScheme('light');

  const places_: Found[] = places
    .filter((place) => place.needs === undefined || session.permissions.includes(place.needs))
    .map((place) => ({
      id: `go-${place.to}`,
      icon: place.icon,
      label: t.palette.goTo(place.name),
      keys: `g ${place.to === '/doctor' ? 'c' : place.to[1]}`,
      run: () => void navigate({ to: place.to }),
    }));
  const fixed: Found[] = [
    ...places_,
    ...(session.permissions.includes('device:write') && !page.some((action) => action.id === 'add-device')
      ? [{ id: 'add', icon: 'plus' as const, label: t.devices.add, run: () => void navigate({ to: '/devices', search: { add: true } }) }]
      : []),
    {
      id: 'scheme',
      icon: colorScheme === 'dark' ? 'sun' : 'moon',
      label: colorScheme === 'dark' ? t.frame.light : t.frame.dark,
      run: () => setColorScheme(colorScheme === 'dark' ? 'light' : 'dark'),
    },
    { id: 'account', icon: 'user', label: t.frame.accountSettings, run: () => void navigate({ to: '/settings/account' }) },
  ];
  const items = [...page.filter((item) => matches(item.label, text)), ...fixed.filter((item) => matches(item.label, text)), ...found];
  const run = (item: Found | undefined) => {
    if (!item) return;
    onClose();
    item.run();
  };
  return (
    <Modal opened onClose={onClose} withCloseButton={false} padding={0} size={620} classNames={{ content: classes.palette }} aria-label={t.frame.palette}>
      <input
        data-autofocus
        className={classes.paletteInput}
        role="combobox"
        aria-label={t.palette.label}
        aria-expanded
        aria-controls={list}
        aria-activedescendant={items.length > 0 ? `${list}-${active}` : undefined}
        placeholder={t.palette.placeholder}
        value={text}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => {
          setText(event.currentTarget.value);
          setActive(0);
        }}
        onKeyDown={(event) => foundKeys(event, items.length, active, setActive, () => run(items[active]))}
      />
      <FoundList id={list} items={items} active={active} onActive={setActive} onRun={run} />
      {items.length === 0 ? <div className={classes.none} role="status">{settled ? t.search.nothing : t.search.looking}</div> : null}
      <div className={classes.foot}>
        <span><kbd>↑</kbd> <kbd>↓</kbd> {t.palette.choose}</span>
        <span><kbd>Enter</kbd> {t.palette.run}</span>
        <span><kbd>Esc</kbd> {t.common.close}</span>
      </div>
    </Modal>
  );
}
