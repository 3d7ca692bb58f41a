import type { Person, Project } from '../../shared/model.js'

const northwind: Project = { id: 'proj_northwind', name: 'Northwind Research' }
const acme: Project = { id: 'proj_acme', name: 'Acme Legal' }

export const PROJECTS: readonly Project[] = [northwind, acme]

/** Made-up people in place of a directory. Who belongs to which project is asked here for each request, never read from a token. */
export const PEOPLE: readonly Person[] = [
  { id: 'user_maya', name: 'Maya Lindqvist', role: 'Research lead', projects: [northwind] },
  { id: 'user_tomas', name: 'Tomás Okafor', role: 'Field analyst', projects: [northwind] },
  { id: 'user_priya', name: 'Priya Raman', role: 'Partner', projects: [acme] },
  { id: 'user_sam', name: 'Sam Duarte', role: 'Auditor', projects: [northwind, acme] },
]

export function findPerson(id: string | undefined): Person | undefined {
  return PEOPLE.find((person) => person.id === id)
}
